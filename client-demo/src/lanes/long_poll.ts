import { keep, type Open } from "./lane";

const WAIT_SECONDS = 25;

/** Asks, and the answer waits until there is something to say. What is missing it asks for without waiting. */
export const longPoll: Open = (tally, address) =>
  keep(tally, async (signal) => {
    while (!signal.aborted) {
      const wait = String(tally.state === "live" ? WAIT_SECONDS : 0);
      const url = address.feed("", tally, tally.position ? { wait } : {});
      const answer = await address.ask(url, tally, { signal });
      if (answer.status === 204) tally.settle();
      else tally.take(await answer.json());
    }
  });
