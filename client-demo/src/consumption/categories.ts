import { decimal, digitsOf, exact, part, percent, written } from "../amount";
import { byId, make } from "../dom";
import { words } from "../words";
import type { Part } from "./shown";

/** The number of colours: the last one is for all remaining categories together. */
const SHOWN_MAX = 6;

/** This month's total by category: one bar, and a line for each category. */
export function categories(): Part {
  const root = byId("categories");
  return ({ totals: { month, unit } }) => {
    const named = Object.entries(month.categories).sort(([, a], [, b]) => (exact(b) > exact(a) ? 1 : -1));
    const top = named.slice(0, SHOWN_MAX - 1);
    const rest = top.reduce((left, [, amount]) => left - exact(amount), exact(month.amount));
    const lines = rest === 0n ? top : [...top, [words().other, decimal(rest, digitsOf(month.amount))] as [string, string]];
    const colour = (index: number) => `c${index + 1}`;
    const bar = make("div", { class: "split", "aria-hidden": "true" });
    const list = make("ul");
    lines.forEach(([name, amount], index) => {
      const share = Math.max(part(amount, month.amount), 0);
      const piece = make("span", { class: colour(index) });
      piece.style.flexGrow = String(share);
      bar.append(piece);
      const mark = make("span", { class: `mark ${colour(index)}`, "aria-hidden": "true" });
      const text = make("span", { class: "name" }, name);
      list.append(make("li", {}, mark, text, make("span", { class: "share quiet" }, percent(share)), make("span", { class: "value" }, written(amount, unit))));
    });
    root.replaceChildren(bar, list);
  };
}
