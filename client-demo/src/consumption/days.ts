import { accountPath, type Api } from "../api";
import { drawn, written } from "../amount";
import type { PastTotals } from "../contract";
import { byId, makeSvg } from "../dom";
import { locale, words } from "../words";
import type { Part, Shown } from "./shown";

const DAYS = 30;
const WIDTH = 300;
const HEIGHT = 96;
const GAP = 3;

/** The totals of the last days. Past days come from the ledger's totals; today comes from the feed. */
export function days(account: string, api: Api, closed: AbortSignal): Part {
  const root = byId("days");
  let past: PastTotals | undefined;
  let last: Shown | undefined;
  let asked = "";

  const draw = () => {
    if (!last || closed.aborted) return;
    const { totals } = last;
    const amounts = new Map<string, string>();
    for (const day of past?.totals ?? []) {
      if (day.meter === totals.meter && day.unit === totals.unit) amounts.set(day.start, day.amount);
    }
    amounts.set(totals.day.start, totals.day.amount);
    const dates = lastDates(totals.day.start);
    const most = Math.max(...dates.map((date) => drawn(amounts.get(date) ?? "0")), 0);
    const bars = dates.map((date, index) => bar(index, amounts.get(date) ?? "0", most, `${dateText(date)}: ${written(amounts.get(date) ?? "0", totals.unit)}`));
    bars.at(-1)?.setAttribute("class", "now");
    root.replaceChildren(makeSvg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars));
    root.setAttribute("aria-label", words().chart_of_days(String(dates.length)));
  };

  return (shown) => {
    last = shown;
    // Late events change past days, so they are requested again on each new day and each snapshot.
    const wanted = `${shown.totals.day.start} ${shown.screen.timeZone} ${shown.news === shown.screen.entries}`;
    if (wanted !== asked) {
      asked = wanted;
      api
        .get<PastTotals>(accountPath(account, "/totals?by=day"))
        .then((answer) => {
          past = answer;
          draw();
        })
        .catch(() => (asked = ""));
    }
    draw();
  };
}

function bar(index: number, amount: string, most: number, text: string): SVGElement {
  const width = WIDTH / DAYS;
  const height = most > 0 ? Math.max((drawn(amount) / most) * HEIGHT, 0) : 0;
  const title = makeSvg("title");
  title.textContent = text;
  const least = Math.max(height, 2);
  return makeSvg("rect", { x: index * width + GAP / 2, width: width - GAP, y: HEIGHT - least, height: least, rx: 2 }, title);
}

function lastDates(today: string): string[] {
  const end = Date.parse(today);
  return Array.from({ length: DAYS }, (_, back) => new Date(end - (DAYS - 1 - back) * 86_400_000).toISOString().slice(0, 10));
}

const dateText = (date: string): string => new Intl.DateTimeFormat(locale(), { timeZone: "UTC", month: "short", day: "numeric" }).format(Date.parse(date));
