// npm ws: `node ws.js SPEC`.
import { readFileSync } from "node:fs";
import { WebSocket } from "ws";
import { again, event, headers, print, refused, spec } from "./lines.js";

const ca = spec.ca && readFileSync(spec.ca);
let position = "";

(function connect() {
  const url = `${spec.url.replace("http", "ws")}/ws?after=${position}`;
  const socket = new WebSocket(url, "tallycast.v1", { headers, ca });
  socket.on("open", () => print({ kind: "connect", protocol: socket.protocol }));
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    position = message.position ?? position;
    event(message);
  });
  socket.on("unexpected-response", (_, response) => refused(response.statusCode));
  socket.on("error", () => {}); // "close" comes after it.
  socket.on("close", (code) => {
    print({ kind: "disconnect", code });
    again(connect);
  });
})();
