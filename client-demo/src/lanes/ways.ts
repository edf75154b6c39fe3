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
  /** It holds one of the six HTTP connections that a browser has for an origin, in all its windows: nobody looking, it lets go. */
  isHeld: boolean;
  /** Which of the link's further ports it takes, if there are any. */
  port?: number;
}

/** Every way to follow an account in a browser. */
export const WAYS: readonly Way[] = [
  { name: "socketio-websocket", open: socketioWebsocket, isHeld: false },
  { name: "socketio-polling", open: socketioPolling, isHeld: true, port: 0 },
  { name: "websocket", open: websocket, isHeld: false },
  { name: "sse", open: sse, isHeld: true, port: 1 },
  { name: "long-poll", open: longPoll, isHeld: true, port: 2 },
  { name: "short-poll", open: shortPoll, isHeld: false },
  // Of the page's own origin: a frame of another one could not call it.
  { name: "iframe", open: iframe, isHeld: true },
];
