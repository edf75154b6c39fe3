import { createServer } from "node:http";
import websocket from "websocket";
import { live, obey } from "./control.mjs";
import { account, Rooms } from "./rooms.mjs";

const http = createServer();
const server = new websocket.server({ httpServer: http });
const rooms = new Rooms();

server.on("request", (request) => {
  const name = account(request.resource);
  const socket = request.accept();
  rooms.join(name, socket);
  socket.on("close", () => rooms.leave(name, socket));
  socket.sendUTF(JSON.stringify(live(name)));
});

http.listen(0, "127.0.0.1", () =>
  obey(http.address().port, (room, message) => {
    const text = JSON.stringify(message);
    rooms.each(room, (socket) => socket.sendUTF(text));
  }));
