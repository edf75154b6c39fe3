import { make } from "../dom";
import { words } from "../words";
import { counted, milliseconds, sized } from "./numbers";
import type { Tally } from "./tally";
import type { Way } from "./ways";

interface Measure {
  title: () => string;
  of: (tally: Tally) => number | undefined;
  written: (value: number) => string;
}

const MEASURES: readonly Measure[] = [
  { title: () => words().lanes_median, of: (tally) => tally.medianDelayMs, written: milliseconds },
  { title: () => words().lanes_bytes_each, of: (tally) => tally.perEntry?.bytes, written: sized },
  { title: () => words().lanes_requests_each, of: (tally) => tally.perEntry?.requests, written: counted },
];

/** Compares the costs of the transports: a table whose cells are bars. */
export class Comparison {
  readonly element = make("table", { class: "comparison" });
  readonly #lanes: readonly { way: Way; tally: Tally }[];
  #cells: { text: HTMLElement; fill: HTMLElement }[][] = [];

  constructor(lanes: readonly { way: Way; tally: Tally }[]) {
    this.#lanes = lanes;
  }

  translate(): void {
    const heads = MEASURES.map(({ title }) => make("th", { scope: "col" }, title()));
    this.#cells = this.#lanes.map(() => MEASURES.map(() => ({ text: make("span", { class: "value" }), fill: make("span", { class: "fill" }) })));
    const rows = this.#lanes.map(({ way }, row) => {
      const cells = this.#cells[row] ?? [];
      const bars = cells.map(({ text, fill }) => make("td", {}, make("div", {}, make("span", { class: "bar" }, fill), text)));
      return make("tr", {}, make("th", { scope: "row" }, words().lanes_ways[way.name].short), ...bars);
    });
    const caption = make("caption", {}, words().lanes_compared);
    this.element.replaceChildren(caption, make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...rows));
  }

  draw(): void {
    MEASURES.forEach(({ of, written }, column) => {
      const values = this.#lanes.map(({ tally }) => of(tally));
      const most = Math.max(...values.map((value) => value ?? 0));
      values.forEach((value, row) => {
        const cell = this.#cells[row]?.[column];
        if (!cell) return;
        const { text, fill } = cell;
        text.textContent = value === undefined ? "–" : written(value);
        fill.style.width = value && most ? `${(value / most) * 100}%` : "0";
      });
    });
  }
}
