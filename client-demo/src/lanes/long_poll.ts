import { keep, type Open } from "./lane";

const WAIT_SECONDS = 25;

/** Long polling: the server answers when there is something new. While it is catching up, it requests messages without waiting. */
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
