import { iframe } from "./iframe";
import type { Open } from "./lane";
import { longPoll } from "./long_poll";
import { shortPoll } from "./short_poll";
import { socketioPolling, socketioWebsocket } from "./socketio";
import { sse } from "./sse";
import { websocket } from "./websocket";

export type WayName = "socketio-websocket" | "socketio-polling" | "websocket" | "sse" | "long-poll" | "short-poll" | "iframe";

export interface Way {
  name: WayName;
  open: Open;
  /** It holds one of the six HTTP connections that all windows of a browser share per origin, so it is closed while the page is hidden. */
  isHeld: boolean;
  /** Which of the link's extra ports it uses, if there are any. */
  port?: number;
}

/** Every transport that works in a browser. */
export const WAYS: readonly Way[] = [
  { name: "socketio-websocket", open: socketioWebsocket, isHeld: false },
  { name: "socketio-polling", open: socketioPolling, isHeld: true, port: 0 },
  { name: "websocket", open: websocket, isHeld: false },
  { name: "sse", open: sse, isHeld: true, port: 1 },
  { name: "long-poll", open: longPoll, isHeld: true, port: 2 },
  { name: "short-poll", open: shortPoll, isHeld: false },
  // On the page's own origin: a frame of another origin could not call the page.
  { name: "iframe", open: iframe, isHeld: true },
];
