import { keep, pause, type Open } from "./lane";

const PERIOD_MS = 3_000;

/** Short polling: asks every three seconds whether there is anything new. */
export const shortPoll: Open = (tally, address) =>
  keep(tally, async (signal) => {
    while (!signal.aborted) {
      const answer = await address.ask(address.feed("", tally), tally, { signal });
      if (answer.status === 204) tally.settle();
      else tally.take(await answer.json());
      if (tally.state === "live") await pause(PERIOD_MS, signal);
    }
  });
