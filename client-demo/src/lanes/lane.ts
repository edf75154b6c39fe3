import type { FeedMessage } from "../contract";
import { Refusal, type Address } from "./address";
import type { Tally } from "./tally";

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 5_000;

/** One way to follow the account, for as long as it is open. */
export interface Lane {
  /** Really cuts the connection, and leaves it cut. */
  cut(why?: "cut" | "resting"): void;
  /** Connects again, from where the tally is. */
  resume(): void;
  close(): void;
}

export type Open = (tally: Tally, address: Address) => Lane;

/** Follows until the signal comes; ends by itself, with or without an error, where the connection does. */
export type Follow = (signal: AbortSignal) => Promise<void>;

/** Makes a lane of a way to follow: one that is lost is tried again, at first after one second, at last after five. */
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
 * A connection that pushes: `open` opens it and gives back how to close it. It ends with the signal, or when `end` is called,
 * or with a message that does not fit.
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

/** Waits, or until the signal. */
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
