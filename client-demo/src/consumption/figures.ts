import { drawn, written } from "../amount";
import { byId } from "../dom";
import { locale, words } from "../words";
import type { Part } from "./shown";

const COUNT_UP_MS = 700;
/** Figures of at least this many characters are set in smaller type. */
const LONG = 12;
const VERY_LONG = 22;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** A large figure that counts up to the ledger's amount. The values in between are approximate, the final text is exact. */
class Figure {
  readonly #element: HTMLElement;
  #shown: number | undefined;
  #amount = "";
  #frame = 0;

  constructor(id: string) {
    this.#element = byId(id);
  }

  show(amount: string, unit: string): void {
    // This attribute, which programs read, is exact immediately.
    this.#element.dataset.amount = amount;
    const from = this.#shown;
    const to = drawn(amount);
    cancelAnimationFrame(this.#frame);
    const end = () => {
      this.#shown = to;
      const { length } = (this.#element.textContent = written(amount, unit));
      if (length < LONG) delete this.#element.dataset.length;
      else this.#element.dataset.length = length < VERY_LONG ? "long" : "very-long";
    };
    if (from === undefined || from === to || still.matches || document.hidden) return end();
    if (amount !== this.#amount) this.#flash(to > from);
    this.#amount = amount;
    const digits = amount.split(".")[1]?.length ?? 0;
    const start = performance.now();
    const step = (now: number) => {
      const passed = Math.min((now - start) / COUNT_UP_MS, 1);
      if (passed === 1) return end();
      this.#shown = from + (to - from) * (1 - (1 - passed) ** 3);
      this.#element.textContent = written(this.#shown.toFixed(digits), unit);
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  /** The next value, of another unit or day, does not count up from this one. */
  forget(): void {
    this.#shown = undefined;
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }

  #flash(isUp: boolean): void {
    this.#element.classList.remove("up", "down");
    void this.#element.offsetWidth; // restarts the animation
    this.#element.classList.add(isUp ? "up" : "down");
  }
}

export function figures(closed: AbortSignal): Part {
  const today = new Figure("today");
  const month = new Figure("month");
  // A figure that is still counting up would overwrite the next account's.
  closed.addEventListener("abort", () => [today, month].forEach((figure) => figure.stop()));
  let pair = "";
  const counted = (id: string, count: number) => {
    byId(id).textContent = words().entries_counted(new Intl.NumberFormat(locale()).format(count));
  };
  return ({ totals, screen }) => {
    const { unit, day } = totals;
    const next = `${totals.meter} ${unit} ${screen.timeZone} ${day.start}`;
    if (next !== pair) for (const figure of [today, month]) figure.forget();
    pair = next;
    today.show(day.amount, unit);
    month.show(totals.month.amount, unit);
    counted("today-count", day.count);
    counted("month-count", totals.month.count);
  };
}
