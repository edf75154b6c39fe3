import { io } from "socket.io-client";
import { Api } from "../api";
import type { Entry, FeedMessage, Totals } from "../contract";
import { byId, make } from "../dom";
import { Feed } from "../feed";
import type { Link } from "../link";
import { mayRecord } from "../token";
import { budgets } from "./budgets";
import { categories } from "./categories";
import { chart } from "./chart";
import { days } from "./days";
import { entries } from "./entries";
import { figures } from "./figures";
import type { Part } from "./shown";
import { spend } from "./spend";
import { StatusLine } from "./status";

const RECENT = 12;
const NOTHING = { amount: "0", count: 0 };

/** "My consumption": one account's screen, with nothing that is not in the ledger. Returns functions to redraw and close it. */
export function openConsumption({ account, token }: Link): { redraw: () => void; close: () => void } {
  const api = new Api(token);
  const feed = new Feed({ account, token: () => token, storage: localStorage, recent: RECENT });
  const closing = new AbortController();
  const { signal } = closing;
  const parts: Part[] = [figures(signal), chart(account, api, signal), days(account, api, signal), budgets(), categories(), entries()];
  const status = new StatusLine(feed);
  const board = byId("board");
  let pair = "";
  let offered = "";

  const draw = (news: readonly Entry[]) => {
    const { screen } = feed;
    // Until this account has a screen, the board still shows the previous account.
    board.hidden = !screen;
    if (!screen) return;
    const totals = screen.totals.find((totals) => pairOf(totals) === pair) ?? screen.totals[0] ?? nothingYet();
    offer(screen.totals, totals);
    for (const part of parts) part({ screen, totals, news });
  };
  const redraw = () => {
    draw(feed.screen?.entries ?? []);
    status.show(false);
  };
  /** Recreates the buttons only when they change, so that a focused one keeps the focus. */
  const offer = (all: readonly Totals[], chosen: Totals) => {
    const wanted = [document.documentElement.lang, pairOf(chosen), ...all.map(pairOf)].join("\n");
    if (wanted === offered) return;
    offered = wanted;
    if (mayRecord(token)) spend(account, chosen.unit, api);
    const root = byId("pairs");
    root.hidden = all.length < 2;
    root.replaceChildren(
      ...all.map((totals) => {
        const button = make("button", { type: "button", "aria-pressed": String(totals === chosen) }, `${totals.meter} · ${totals.unit}`);
        button.addEventListener("click", () => {
          pair = pairOf(totals);
          redraw();
        });
        return button;
      }),
    );
  };

  feed.onChange((message) => {
    if (!feed.screen || (message && message.type !== "live")) draw(message ? newsOf(message, feed) : []);
    status.show(message !== undefined && message.type !== "live");
  });
  const wake = () => document.hidden || feed.wake();
  document.addEventListener("visibilitychange", wake, { signal });
  addEventListener("online", wake, { signal });
  redraw();
  feed.follow(io("/feed", { auth: feed.auth, forceNew: true, transports: ["websocket", "polling"] }));

  return {
    redraw,
    close() {
      closing.abort();
      feed.close();
      status.close();
    },
  };
}

/** The entries that are new on the screen: those of an update, or all of a snapshot. */
function newsOf(message: FeedMessage, { screen }: Feed): readonly Entry[] {
  if (message.type === "update") return message.entries;
  return message.type === "snapshot" ? (screen?.entries ?? []) : [];
}

const pairOf = ({ meter, unit }: Totals) => `${meter} ${unit}`;

/** What is shown for an account without entries. */
function nothingYet(): Totals {
  const today = new Date().toISOString().slice(0, 10);
  const window = { ...NOTHING, start: today, end: today, categories: {} };
  return { meter: "spend", unit: "USD", all: NOTHING, month: window, day: window };
}
