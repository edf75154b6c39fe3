import { drawn } from "../amount";
import type { Entry, Totals } from "../contract";
import { wallClock } from "../clock";

export const MINUTES = 24 * 60;

/** How today's total of one meter and unit grew, minute by minute. For drawing only: the figures come from the ledger. */
export class Curve {
  readonly date: string;
  readonly #timeZone: string;
  readonly #pair: string;
  readonly #minutes = new Float64Array(MINUTES);
  /** The contiguous range of offsets included so far. */
  #from = Infinity;
  #to = 0;

  constructor(totals: Totals, timeZone: string) {
    this.date = totals.day.start;
    this.#timeZone = timeZone;
    this.#pair = pairOf(totals);
  }

  isOf(totals: Totals, timeZone: string): boolean {
    return this.date === totals.day.start && this.#timeZone === timeZone && this.#pair === pairOf(totals);
  }

  /** Whether these entries are contiguous with the ones included so far, at either end. */
  fits(entries: readonly Entry[]): boolean {
    const first = entries[0]?.offset ?? 0;
    const last = entries.at(-1)?.offset ?? 0;
    return this.#to === 0 || (first <= this.#to + 1 && last >= this.#from - 1);
  }

  /** Adds those of these contiguous entries, oldest first, that are new. */
  add(entries: readonly Entry[]): void {
    const news = entries.filter(({ offset }) => offset < this.#from || offset > this.#to);
    for (const entry of news) this.#count(entry);
    this.#from = Math.min(this.#from, entries[0]?.offset ?? Infinity);
    this.#to = Math.max(this.#to, entries.at(-1)?.offset ?? 0);
  }

  /** The running total at the end of each minute up to now. Amounts from before the known entries are added at the start. */
  points(total: string, now: number): { minutes: number[]; sums: number[] } {
    const known = this.#minutes.reduce((sum, amount) => sum + amount, 0);
    let sum = drawn(total) - known;
    const minutes = [0];
    const sums = [Math.abs(sum) < 1e-9 ? 0 : sum];
    for (let minute = 0; minute <= now; minute++) {
      const amount = this.#minutes[minute] ?? 0;
      if (amount === 0 && minute < now) continue;
      sum += amount;
      minutes.push(minute + 1);
      sums.push(sum);
    }
    return { minutes, sums };
  }

  #count(entry: Entry): void {
    if (entry.kind === "alert" || pairOf(entry) !== this.#pair) return;
    const { date, minute } = wallClock(entry.time, this.#timeZone);
    if (date === this.date) this.#minutes[minute] = (this.#minutes[minute] ?? 0) + drawn(entry.amount);
  }
}

const pairOf = ({ meter, unit }: { meter: string; unit: string }) => `${meter} ${unit}`;
