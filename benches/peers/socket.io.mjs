import { createServer } from "node:http";
import { Server } from "socket.io";
import { live, obey } from "./control.mjs";

const OVERHEAD = '42["update",]'.length;
const http = createServer();
const io = new Server(http, { transports: ["websocket"] });

io.on("connection", (socket) => {
  const { account } = socket.handshake.auth;
  socket.join(account);
  socket.emit("live", live(account, OVERHEAD));
});

http.listen(0, "127.0.0.1", () =>
  obey(http.address().port, (room, message) => io.to(room).emit("update", message), OVERHEAD));
