import { io, type Socket } from "socket.io-client";
import type { ClientToServerEvents, ServerToClientEvents } from "../contract";
import { bytesOf, Refusal } from "./address";
import { keep, pushed, type Open } from "./lane";
import { ENTRIES_MAX } from "./tally";

/** The stock client, limited to one transport. Its own reconnection is off, so that all lanes reconnect by the same rule. */
const over =
  (transport: "websocket" | "polling"): Open =>
  (tally, { origin, token, account, traffic }) => {
    if (transport === "polling") traffic.expectAll(`${origin}/socket.io/?EIO=4&transport=polling`, tally);
    return keep(tally, (signal) =>
      pushed(tally, signal, (take, end) => {
        const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(`${origin}/feed`, {
          auth: { token, account, after: tally.position, recent: ENTRIES_MAX },
          transports: [transport],
          forceNew: true,
          reconnection: false,
        });
        socket.on("snapshot", take).on("update", take).on("rollover", take).on("live", take);
        socket.on("disconnect", () => end());
        // Only refusals by the server have data.
        socket.on("connect_error", (error) => end("data" in error ? new Refusal(error.message) : error));
        if (transport === "websocket") {
          tally.count({ requests: 1 });
          // Each packet has one byte for its type before its data; a ping is only that byte.
          socket.io.engine.on("packet", ({ data = "" }) => tally.count({ bytes: 1 + bytesOf(data) }));
        }
        return () => {
          socket.off();
          socket.disconnect();
        };
      }),
    );
  };

export const socketioWebsocket = over("websocket");
export const socketioPolling = over("polling");
