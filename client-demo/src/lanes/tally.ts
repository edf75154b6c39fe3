import type { Entry, FeedMessage, Snapshot, Totals, Update } from "../contract";

/** How many of the newest entries a lane shows and requests. */
export const ENTRIES_MAX = 5;
/** How many delays the median covers. */
const DELAYS_MAX = 50;

/**
 * `retrying`: the connection was lost or refused, and the lane retries by itself. `cut`: disconnected by a button. `resting`:
 * paused because the page is hidden.
 */
export type State = "connecting" | "catching-up" | "live" | "retrying" | "cut" | "resting";

/** An entry on the screen, and how long after its recording it arrived. This is the transport's delay only for live entries. */
export interface Landed {
  entry: Entry;
  how: "snapshot" | "caught-up" | "live";
  delayMs: number;
}

/** How the last interruption ended: with the missed entries, or with a snapshot instead. */
export type Recovery = { entries: number } | { snapshot: Snapshot["reason"] };

interface Cost {
  requests: number;
  bytes: number;
}

/** What one lane knows about the account. The rules are the same for every transport. */
export class Tally {
  state: State = "connecting";
  position = "";
  offset = 0;
  totals: readonly Totals[] = [];
  timeZone = "UTC";
  /** Newest first. */
  landed: readonly Landed[] = [];
  recovery: Recovery | undefined;
  /** The code of the server's last refusal, until the lane is live again. */
  refusal = "";
  /** How long the lane waits while it is `retrying`. */
  retryMs = 0;
  /** The entries missing in a gap, should one ever occur. It is never cleared, so that it is seen. */
  gap = "";
  /** The total cost since the start. */
  readonly cost: Cost = { requests: 0, bytes: 0 };
  readonly #changed: () => void;
  readonly #delays: number[] = [];
  #opening: Cost | undefined;
  #entries = 0;
  #lastSeen: number | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  become(state: State): void {
    if (this.state === "live" && state !== "live") this.#lastSeen = this.offset;
    this.state = state;
    this.#changed();
  }

  retry(refusal: string, retryMs: number): void {
    this.refusal = refusal;
    this.retryMs = retryMs;
    this.become("retrying");
  }

  /** Applies a message of the feed. Throws if it leaves a gap: the connection cannot be used any more. */
  take(message: FeedMessage): void {
    if (message.type === "live") return this.settle();
    if (message.type === "snapshot") this.#replace(message);
    else if (message.type === "update") this.#append(message);
    else if (message.type === "rollover") this.totals = message.totals;
    else return; // `closing`: the server ends the connection
    this.position = message.position;
    if (this.state === "connecting") this.state = "catching-up";
    this.#changed();
  }

  /** The lane has caught up: everything after this is live. */
  settle(): void {
    if (this.state === "live") return;
    const missed = this.#lastSeen === undefined ? 0 : this.offset - this.#lastSeen;
    if (this.#lastSeen !== undefined) this.recovery = { entries: missed };
    this.#lastSeen = undefined;
    this.refusal = "";
    this.#entries += missed;
    this.#opening ??= { ...this.cost };
    this.become("live");
  }

  /** Counts requests sent and bytes received. */
  count({ requests = 0, bytes = 0 }: Partial<Cost>): void {
    this.cost.requests += requests;
    this.cost.bytes += bytes;
    this.#changed();
  }

  get amount(): string {
    return this.totals[0]?.day.amount ?? "0";
  }

  get unit(): string {
    return this.totals[0]?.unit ?? "";
  }

  get lastDelayMs(): number | undefined {
    return this.#delays.at(-1);
  }

  get medianDelayMs(): number | undefined {
    return this.#delays.toSorted((a, b) => a - b)[this.#delays.length >> 1];
  }

  /** The cost per entry, without that of opening; undefined before the first entry. */
  get perEntry(): Cost | undefined {
    if (!this.#opening || this.#entries === 0) return undefined;
    const { requests, bytes } = this.cost;
    return { requests: (requests - this.#opening.requests) / this.#entries, bytes: (bytes - this.#opening.bytes) / this.#entries };
  }

  #replace({ offset, totals, recent, time_zone, reason }: Snapshot): void {
    Object.assign(this, { offset, totals, timeZone: time_zone, landed: [] });
    this.#land(recent, "snapshot");
    if (reason !== "initial") this.recovery = { snapshot: reason };
    this.#lastSeen = undefined;
  }

  #append({ from, to, entries, totals }: Update): void {
    if (to <= this.offset) return;
    if (from > this.offset + 1) {
      this.gap = [...new Set([this.offset + 1, from - 1])].join("–");
      throw new Error(`a gap: ${this.gap}`);
    }
    const news = entries.filter(({ offset }) => offset > this.offset);
    const pairs = [...this.totals, ...(totals ?? [])].map((totals) => [`${totals.meter} ${totals.unit}`, totals] as const);
    this.totals = [...new Map(pairs).values()];
    this.offset = to;
    this.#land(news, this.state === "live" ? "live" : "caught-up");
  }

  #land(entries: readonly Entry[], how: Landed["how"]): void {
    const now = Date.now();
    // The clocks of two computers differ a little, so the difference can be negative.
    const landed = entries.map((entry) => ({ entry, how, delayMs: Math.max(now - Date.parse(entry.recorded_at), 0) }));
    this.landed = [...landed.toReversed(), ...this.landed].slice(0, ENTRIES_MAX);
    if (how !== "live") return;
    this.#entries += entries.length;
    this.#delays.push(...landed.slice(-DELAYS_MAX).map(({ delayMs }) => delayMs));
    this.#delays.splice(0, this.#delays.length - DELAYS_MAX);
  }
}
