// Runs under Bun, whose WebSocket is uWebSockets.
import { live, obey } from "./control.mjs";
import { account } from "./rooms.mjs";

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    const upgraded = server.upgrade(request, { data: account(request.url) });
    return upgraded ? undefined : new Response("say it by WebSocket", { status: 426 });
  },
  websocket: {
    open(socket) {
      socket.subscribe(socket.data);
      socket.send(JSON.stringify(live(socket.data)));
    },
    message() {},
  },
});

obey(server.port, (room, message) => server.publish(room, JSON.stringify(message)));
