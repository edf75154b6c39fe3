import { percent, written } from "../amount";
import { timeOfDay } from "../clock";
import type { Entry } from "../contract";
import { byId, make } from "../dom";
import { words } from "../words";
import type { Part } from "./shown";

/** The latest entries, newest first. New ones slide in; a correction has its own line. */
export function entries(): Part {
  const list = byId("entries");
  let lines = new Map<number, HTMLElement>();
  let drawnFor = "";

  return ({ screen, news }) => {
    const { lang } = document.documentElement;
    const current = `${screen.entries[0]?.account} ${screen.timeZone} ${lang}`;
    if (current !== drawnFor) lines = new Map();
    drawnFor = current;
    const isNews = new Set(news === screen.entries ? [] : news.map(({ offset }) => offset));
    const next = new Map<number, HTMLElement>();
    for (const entry of screen.entries) {
      next.set(entry.offset, lines.get(entry.offset) ?? line(entry, screen.timeZone, isNews.has(entry.offset)));
    }
    lines = next;
    list.replaceChildren(...[...lines.values()].reverse());
    if (lines.size === 0) list.append(make("li", { class: "quiet empty" }, words().no_entries));
  };
}

function line(entry: Entry, timeZone: string, isNew: boolean): HTMLElement {
  const time = make("time", { datetime: entry.time, class: "quiet" }, timeOfDay(entry.time, timeZone));
  const what = make("span", { class: "what" }, title(entry));
  const about = detail(entry);
  if (about) what.append(make("span", { class: "quiet about" }, about));
  const amount = make("span", { class: "value" }, entry.kind === "alert" ? percent(entry.threshold / 100) : written(entry.amount, entry.unit));
  return make("li", { class: `${entry.kind}${isNew ? " new" : ""}`, "data-offset": String(entry.offset) }, time, what, amount);
}

function title(entry: Entry): string {
  if (entry.kind === "alert") return words().alert(entry.budget, percent(entry.threshold / 100), written(entry.limit, entry.unit));
  return entry.description ?? entry.category ?? entry.id;
}

function detail(entry: Entry): string {
  if (entry.kind === "alert") return words().alert_kind;
  if (entry.kind === "reversal") return words().reversal;
  if (entry.kind === "adjustment") return words().adjustment;
  return entry.description ? (entry.category ?? "") : "";
}
