// npm websocket (WebSocket-Node): `node websocket.js SPEC`.
import websocket from "websocket";
import { again, event, headers, print, refused, spec } from "./lines.js";

let position = "";

(function connect() {
  const client = new websocket.client();
  const lost = (code) => {
    print({ kind: "disconnect", code });
    again(connect);
  };
  client.on("connect", (connection) => {
    print({ kind: "connect", protocol: connection.protocol });
    connection.on("message", ({ utf8Data }) => {
      const message = JSON.parse(utf8Data);
      position = message.position ?? position;
      event(message);
    });
    connection.on("error", () => {}); // "close" comes after it.
    connection.on("close", lost);
  });
  client.on("httpResponse", (response) => refused(response.statusCode));
  client.on("connectFailed", () => lost());
  client.connect(`${spec.url.replace("http", "ws")}/ws?after=${position}`, "tallycast.v1", undefined, headers);
})();
