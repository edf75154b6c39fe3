import { Api } from "../api";
import { spend } from "../consumption/spend";
import { byId, make } from "../dom";
import type { Link } from "../link";
import { mayRecord } from "../token";
import { words } from "../words";
import { Address } from "./address";
import { Comparison } from "./comparison";
import { counted } from "./numbers";
import { Panel } from "./panel";
import { Traffic } from "./traffic";
import { WAYS } from "./ways";

/** A window that has been hidden for this long closes its held connections. */
const UNSEEN_MS = 10_000;
const TOLD_MAX = WAYS.length;
/** The unit before the first entry. */
const UNIT = "USD";
/** The code with which every transport refuses an invalid token. */
const UNAUTHORIZED = "unauthorized";

/** "All transports": the same account over each transport, side by side. Returns functions to redraw and close it. */
export function openLanes(link: Link): { redraw: () => void; close: () => void } {
  const title = make("h1");
  const about = make("p", { class: "quiet" });
  const agreement = make("p", { class: "agreement" });
  const things = make("div", { class: "spend", hidden: "" });
  const cutAll = make("button", { type: "button", class: "cut-all", "data-action": "cut-all" });
  const grid = make("div", { class: "lanes" });
  const countedTitle = make("h2");
  const countedHow = make("p", { class: "quiet" });
  const notice = byId("notice");
  const told = make("div", { class: "hidden", "aria-live": "polite" });

  const api = new Api(link.token);
  const traffic = new Traffic();
  const panels: Panel[] = [];
  const comparison = new Comparison(panels);
  let unit = "";

  const offerThings = () => {
    unit = panels[0]?.tally.unit || UNIT;
    if (mayRecord(link.token)) spend(link.account, unit, api, things);
  };
  const draw = () => {
    for (const { card } of panels) card.draw();
    const tallies = panels.map(({ tally }) => tally);
    const newest = Math.max(...tallies.map(({ offset }) => offset), 0);
    const there = tallies.filter(({ offset, position }) => position && offset === newest);
    const isAgreed = there.length === WAYS.length && new Set(there.map(({ amount }) => amount)).size === 1;
    for (const element of [grid, agreement]) element.classList.toggle("agreed", isAgreed);
    if (isAgreed) agreement.textContent = words().lanes_agreed(counted(newest));
    else agreement.textContent = there.length ? words().lanes_behind(counted(newest), counted(there.length)) : words().connecting;
    notice.hidden = !tallies.every(({ refusal }) => refusal === UNAUTHORIZED);
    if (!notice.hidden) notice.textContent = words().refused_because(UNAUTHORIZED);
    cutAll.textContent = panels.every(({ isCut }) => isCut) ? words().lanes_resume_all : words().lanes_cut_all;
    if ((tallies[0]?.unit || UNIT) !== unit) offerThings();
    comparison.draw();
  };
  // Draws once per frame: drawing a lane while the next lane's message waits would make that lane look slow.
  let frame = 0;
  const drawSoon = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  };
  const tell = (text: string) => {
    told.append(make("p", {}, text));
    while (told.childElementCount > TOLD_MAX) told.firstElementChild?.remove();
  };
  const redraw = () => {
    title.textContent = words().every_way;
    about.textContent = words().lanes_about;
    countedTitle.textContent = words().lanes_counted_title;
    countedHow.textContent = words().lanes_counted;
    for (const { card } of panels) card.translate();
    comparison.translate();
    offerThings();
    draw();
  };

  for (const way of WAYS) {
    const port = way.port === undefined ? undefined : link.lanes[way.port];
    panels.push(new Panel(way, new Address(link, traffic, port), drawSoon, tell));
  }
  grid.append(...panels.map(({ card }) => card.element), make("section", { class: "counted" }, countedTitle, countedHow));
  cutAll.addEventListener("click", () => {
    const areCut = panels.every(({ isCut }) => isCut);
    for (const panel of panels) {
      if (areCut) panel.resume();
      else if (!panel.isCut) panel.cut();
    }
  });
  byId("lanes").replaceChildren(
    make("div", { class: "lanes-head" }, make("div", {}, title, about), make("div", { class: "acts" }, things, cutAll)),
    agreement,
    make("section", { class: "card" }, comparison.element),
    grid,
    told,
  );
  redraw();

  let unseen: ReturnType<typeof setTimeout> | undefined;
  const rest = (isUnseen: boolean) => panels.forEach((panel) => panel.rest(isUnseen));
  const look = () => {
    clearTimeout(unseen);
    if (document.hidden) unseen = setTimeout(rest, UNSEEN_MS, true);
    else rest(false);
  };
  const renew = () => panels.forEach((panel) => panel.renew());
  document.addEventListener("visibilitychange", look);
  addEventListener("online", renew);
  look();

  return {
    redraw,
    close() {
      document.removeEventListener("visibilitychange", look);
      removeEventListener("online", renew);
      clearTimeout(unseen);
      cancelAnimationFrame(frame);
      for (const panel of panels) panel.close();
      traffic.close();
      notice.hidden = true;
      byId("lanes").replaceChildren();
    },
  };
}
