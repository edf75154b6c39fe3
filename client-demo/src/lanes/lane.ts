import type { FeedMessage } from "../contract";
import { Refusal, type Address } from "./address";
import type { Tally } from "./tally";

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 5_000;

/** One connection that follows the account over one transport, until it is closed. */
export interface Lane {
  /** Really disconnects, and stays disconnected. */
  cut(why?: "cut" | "resting"): void;
  /** Reconnects from the tally's position. */
  resume(): void;
  close(): void;
}

export type Open = (tally: Tally, address: Address) => Lane;

/** Follows until the signal aborts it. Ends earlier, with or without an error, if the connection does. */
export type Follow = (signal: AbortSignal) => Promise<void>;

/** Runs `follow` as a lane, and reconnects whenever it ends: after one second at first, after at most five later. */
export function keep(tally: Tally, follow: Follow): Lane {
  let connection = new AbortController();

  const run = async ({ signal }: AbortController) => {
    for (let waitMs = RETRY_MS_MIN; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      tally.become("connecting");
      const error: unknown = await follow(signal).catch((error) => error);
      if (signal.aborted) return;
      if (tally.state === "live") waitMs = RETRY_MS_MIN;
      tally.retry(error instanceof Refusal ? error.message : "", waitMs);
      await pause(waitMs, signal);
    }
  };
  const resume = () => {
    connection.abort();
    connection = new AbortController();
    void run(connection);
  };

  resume();
  return {
    resume,
    cut(why = "cut") {
      connection.abort();
      tally.become(why);
    },
    close: () => connection.abort(),
  };
}

/**
 * Follows over a connection that pushes messages. `open` opens it and returns a function that closes it. It ends when the
 * signal aborts, when `end` is called, or at a message that does not follow the previous one.
 */
export function pushed(
  tally: Tally,
  signal: AbortSignal,
  open: (take: (message: FeedMessage) => void, end: (error?: Error) => void) => () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve();
    const end = (error?: Error) => {
      signal.removeEventListener("abort", stop);
      close();
      if (error) reject(error);
      else resolve();
    };
    const stop = () => end();
    const take = (message: FeedMessage) => {
      if (signal.aborted) return;
      try {
        tally.take(message);
      } catch (error) {
        end(error as Error);
      }
    };
    signal.addEventListener("abort", stop, { once: true });
    const close = open(take, end);
  });
}

/** Waits for the given time, or until the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
