import type { Tally } from "./tally";

/** Requests whose cost the browser has not reported yet. It may never report a failed one. */
const EXPECTED_MAX = 64;

/** Adds to each lane the cost of its finished HTTP requests, as measured by the browser (Resource Timing). */
export class Traffic {
  readonly #expected: { address: string; tally: Tally }[] = [];
  readonly #families: { prefix: string; tally: Tally }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) this.#book(entry as PerformanceResourceTiming);
  });

  constructor() {
    this.#observer.observe({ type: "resource" });
  }

  /** The next request to this URL belongs to the lane. */
  expect(address: URL, tally: Tally): void {
    this.#expected.push({ address: address.href, tally });
    if (this.#expected.length > EXPECTED_MAX) this.#expected.shift();
  }

  /** All requests to URLs with this prefix belong to the lane. */
  expectAll(prefix: string, tally: Tally): void {
    this.#families.push({ prefix, tally });
  }

  close(): void {
    this.#observer.disconnect();
  }

  #book({ name, transferSize }: PerformanceResourceTiming): void {
    const index = this.#expected.findIndex(({ address }) => address === name);
    const tally = index < 0 ? this.#families.find(({ prefix }) => name.startsWith(prefix))?.tally : this.#expected.splice(index, 1)[0]?.tally;
    tally?.count({ requests: 1, bytes: transferSize });
  }
}
