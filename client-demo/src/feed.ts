/**
 * Follows one account with a stock Socket.IO client, so that the screen equals the ledger. It stores the position, drops
 * repeats, closes gaps, renews the token, and reports how far the screen can be trusted. It has no runtime dependencies:
 * copy it into your app.
 *
 *     const feed = new Feed({ account: "alice", token: fetchToken, storage: localStorage });
 *     feed.follow(io("https://host/feed", { auth: feed.auth }));
 *     feed.onChange(() => render(feed.status, feed.screen));
 */
import type { Socket } from "socket.io-client";
import type { Budget, ClientToServerEvents, Entry, FeedAuth, FeedMessage, ServerToClientEvents, Totals } from "./contract";

/** How far the screen can be trusted. `refused` is final for this token; all others recover by themselves. */
export type Status = "connecting" | "catching-up" | "live" | "stale" | "offline" | "refused";

/** The account as of `position`. Amounts are decimal strings: do not convert them to floats. */
export interface Screen {
  readonly position: string;
  readonly offset: number;
  readonly totals: readonly Totals[];
  readonly entries: readonly Entry[]; // the latest ones, oldest first
  readonly budgets: readonly Budget[];
  readonly timeZone: string;
}

export interface FeedOptions {
  account: string;
  /** Returns a valid token from your backend; called on every connect, and before a token expires. */
  token: () => string | Promise<string>;
  /** Keeps the screen across reloads: `localStorage`, or any other synchronous storage of strings. */
  storage?: { getItem(key: string): string | null; setItem(key: string, text: string): void };
  /** How many entries the screen has, at most 100; 20 by default. */
  recent?: number;
}

const SILENCE_MAX_MS = 28_000; // longer than the server is ever silent, since it pings every 12 seconds
const RETRY_MS = 5_000;
/** The codes of a refused CONNECT that time heals. */
const RETRIED = ["unavailable", "too_many_requests"];

export class Feed {
  status: Status = "connecting";
  screen: Screen | undefined;
  refusal = ""; // the server's code while the status is "refused"
  readonly #options: FeedOptions & { recent: number };
  readonly #key: string;
  readonly #listeners = new Set<(message?: FeedMessage) => void>();
  #socket: Socket<ServerToClientEvents, ClientToServerEvents> | undefined;
  #heard = 0;
  #resubscribing = false;

  constructor(options: FeedOptions) {
    this.#options = { ...options, recent: options.recent ?? 20 };
    this.#key = `tallycast-feed-1 ${options.account}`;
    try {
      this.screen = JSON.parse(options.storage?.getItem(this.#key) ?? "null") ?? undefined;
    } catch {} // unreadable: the server will send a snapshot
  }

  /** For `io(url, { auth: feed.auth })`: called on every connect, so that the feed resumes from the screen's position. */
  readonly auth = async (give: (auth: FeedAuth) => void): Promise<void> => {
    const { account, recent, token } = this.#options;
    this.#resubscribing = false;
    try {
      give({ token: await token(), account, recent, after: this.screen?.position ?? "" });
    } catch {
      setTimeout(() => this.wake(), RETRY_MS);
    }
  };

  /** Calls the listener on every change, with the message that caused it, if any. Returns a function that removes the listener. */
  onChange(listener: (message?: FeedMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  follow(socket: Socket<ServerToClientEvents, ClientToServerEvents>): void {
    this.#socket = socket;
    const take = (message: FeedMessage) => {
      const screen = this.#with(message);
      if (!screen) return;
      this.#keep(screen);
      this.#tell(message.type === "live" ? "live" : this.status, message);
    };
    const heard = () => (this.#heard = Date.now());
    const lost = () => this.#tell(globalThis.navigator?.onLine === false ? "offline" : this.screen ? "stale" : "connecting");
    socket.on("snapshot", take).on("update", take).on("rollover", take).on("live", take);
    socket.io.on("open", heard).on("ping", heard);
    socket.on("connect", () => this.#tell("catching-up"));
    // The token was revoked, or the account erased: nothing may stay on this device. After any other code the client resumes.
    socket.on("closing", ({ code }) => code === "revoked" && this.forget());
    socket.on("auth_expiring", () => this.auth(({ token }) => socket.emit("authenticate", { token: token ?? "" }, () => {})));
    socket.on("disconnect", lost); // the client reconnects by itself
    socket.on("connect_error", ({ message }) => {
      if (socket.active) return lost();
      if (RETRIED.includes(message)) return setTimeout(() => this.wake(), RETRY_MS);
      this.refusal = message;
      this.#tell("refused");
    });
  }

  /** Call it when the app comes to the foreground or the network comes back: it replaces a connection that died in the meantime. */
  wake(): void {
    const alive = this.#socket?.connected && Date.now() - this.#heard < SILENCE_MAX_MS;
    if (!alive && this.status !== "refused") this.#socket?.disconnect().connect();
  }

  /** Disconnects. The screen stays in the storage unless you also call `forget`. */
  close(): void {
    this.#listeners.clear();
    this.#socket?.disconnect();
    this.#socket = undefined;
  }

  readonly forget = (): void => this.#keep(undefined);

  #keep(screen: Screen | undefined): void {
    this.screen = screen;
    try {
      this.#options.storage?.setItem(this.#key, JSON.stringify(screen ?? null));
    } catch {} // if the storage is full, only resuming after a reload is lost
  }

  /** Applies the message to the screen; undefined if it adds nothing, or does not follow the screen. */
  #with(message: FeedMessage): Screen | undefined {
    const { screen } = this;
    const { type, position } = message;
    if (type === "snapshot") {
      const { offset, totals, recent: entries, budgets, time_zone: timeZone } = message;
      return { position, offset, totals, entries, budgets, timeZone };
    }
    if (!screen || type === "live") return screen && { ...screen, position };
    if (type === "rollover") return { ...screen, position, totals: message.totals };
    if (message.to <= screen.offset) return;
    if (message.from > screen.offset + 1) return this.#resubscribe();
    const news = message.entries.filter((entry) => entry.offset > screen.offset);
    const entries = [...screen.entries, ...news].slice(-this.#options.recent || Infinity);
    const pairs = [...screen.totals, ...(message.totals ?? [])].map((totals) => [`${totals.meter} ${totals.unit}`, totals] as const);
    return { ...screen, position, offset: message.to, entries, totals: [...new Map(pairs).values()] };
  }

  #resubscribe(): undefined {
    if (this.#resubscribing) return;
    this.#resubscribing = true;
    const request = { account: this.#options.account, after: this.screen?.position ?? "" };
    this.#socket?.emit("subscribe", request, () => (this.#resubscribing = false));
  }

  #tell(status: Status, message?: FeedMessage): void {
    this.status = status;
    for (const listener of this.#listeners) listener(message);
  }
}
