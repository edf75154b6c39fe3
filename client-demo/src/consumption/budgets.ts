import { decimal, digitsOf, exact, part, percent, written } from "../amount";
import type { Alert, Budget } from "../contract";
import { byId, make } from "../dom";
import { words } from "../words";
import type { Part, Shown } from "./shown";

/** An alert that fired while the page was closed is still shown, unless it is older than this. */
const ALERT_AGE_MAX_MS = 60 * 60_000;

/** Shows each budget as a bar, and the alerts that fired. */
export function budgets(): Part {
  const card = byId("budgets-card");
  const list = byId("budgets");
  const banners = byId("alerts");
  const told = new Map<string, { offset: number; banner: HTMLElement }>();
  banners.replaceChildren();

  /** One banner per budget: a new threshold replaces the previous one. */
  const alert = (entry: Alert) => {
    const before = told.get(entry.budget);
    if (before && before.offset >= entry.offset) return;
    if (Date.now() - Date.parse(entry.recorded_at) > ALERT_AGE_MAX_MS) return;
    before?.banner.remove();
    const text = words().alert(entry.budget, percent(entry.threshold / 100), written(entry.limit, entry.unit));
    const dismiss = make("button", { type: "button", "aria-label": words().dismiss }, "×");
    const banner = make("div", { class: `banner ${entry.threshold >= 100 ? "over" : ""}` }, make("strong", {}, text), dismiss);
    dismiss.addEventListener("click", () => banner.remove());
    banners.append(banner);
    told.set(entry.budget, { offset: entry.offset, banner });
  };

  return ({ screen, news }) => {
    card.hidden = screen.budgets.length === 0;
    list.replaceChildren(...screen.budgets.map((budget) => line(budget, screen)));
    for (const entry of news) if (entry.kind === "alert") alert(entry);
  };
}

function line(budget: Budget, { totals }: Shown["screen"]): HTMLElement {
  const { unit, limit } = budget;
  const pair = totals.find((totals) => totals.meter === budget.meter && totals.unit === unit);
  const spent = pair?.[budget.window].amount ?? "0";
  const share = Math.max(part(spent, limit), 0);
  const left = exact(limit) - exact(spent);
  const rest = written(decimal(left < 0n ? -left : left, Math.max(digitsOf(spent), digitsOf(limit))), unit);
  const fill = make("span", { class: "fill" });
  fill.style.width = percentWidth(share);
  const ticks = budget.thresholds.filter((threshold) => threshold < 100).map((threshold) => tick(threshold));
  const level = share >= 1 ? "over" : share >= 0.8 ? "near" : "";
  const text = words().budget_of(written(spent, unit), written(limit, unit));
  const meter = { role: "meter", "aria-label": budget.id, "aria-valuenow": String(Math.round(share * 100)), "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuetext": text };
  return make(
    "li",
    { class: level },
    make("div", { class: "row" }, make("strong", {}, budget.id), make("span", {}, text)),
    make("div", { class: "bar", ...meter }, fill, ...ticks),
    make("div", { class: "row quiet" }, make("span", {}, percent(share)), make("span", {}, left < 0n ? words().over(rest) : words().left(rest))),
  );
}

function tick(threshold: number): HTMLElement {
  const mark = make("span", { class: "tick" });
  mark.style.left = `${threshold}%`;
  return mark;
}

const percentWidth = (share: number): string => `${Math.min(share, 1) * 100}%`;
