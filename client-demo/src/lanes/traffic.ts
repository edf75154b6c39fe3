import type { Tally } from "./tally";

/** Requests whose cost the browser has not told yet. It may never tell that of one that failed. */
const EXPECTED_MAX = 64;

/** Gives each lane what its finished HTTP requests cost, as the browser measures them (Resource Timing). */
export class Traffic {
  readonly #expected: { address: string; tally: Tally }[] = [];
  readonly #families: { prefix: string; tally: Tally }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) this.#book(entry as PerformanceResourceTiming);
  });

  constructor() {
    this.#observer.observe({ type: "resource" });
  }

  /** The next request to this address is the lane's. */
  expect(address: URL, tally: Tally): void {
    this.#expected.push({ address: address.href, tally });
    if (this.#expected.length > EXPECTED_MAX) this.#expected.shift();
  }

  /** All requests to addresses that begin like this are the lane's. */
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
