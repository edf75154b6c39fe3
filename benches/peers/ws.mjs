import { WebSocketServer } from "ws";
import { live, obey } from "./control.mjs";
import { account, Rooms } from "./rooms.mjs";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
const rooms = new Rooms();

server.on("connection", (socket, request) => {
  const name = account(request.url);
  rooms.join(name, socket);
  socket.on("close", () => rooms.leave(name, socket));
  socket.send(JSON.stringify(live(name)));
});

server.on("listening", () =>
  obey(server.address().port, (room, message) => {
    const text = JSON.stringify(message);
    rooms.each(room, (socket) => socket.send(text));
  }));
