// A stock socket.io-client driven by lines: `node client.js PACKAGE SPEC`.
//
// SPEC is JSON: { url, namespace, path, transport, auth, resume }. Everything that happens is printed as
// a line of JSON; lines of JSON on stdin ({ emit, data, id }) are emitted, and its end is the end.
import { createInterface } from "node:readline";

const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };

const { io } = await import(process.argv[2]);
const spec = JSON.parse(process.argv[3]);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

let position = spec.auth.after;
const resume = () => (position === undefined ? {} : { after: position });

const socket = io(spec.url + spec.namespace, {
  path: spec.path,
  transports: TRANSPORTS[spec.transport],
  auth: spec.resume === "auth" ? (send) => send({ ...spec.auth, ...resume() }) : spec.auth,
  // Short and constant, so that a test waits for the server and not for a back-off.
  reconnectionDelay: 20,
  reconnectionDelayMax: 100,
  randomizationFactor: 0,
});

const emit = (event, data, id) => socket.emit(event, data, (answer) => print({ kind: "ack", id, data: answer }));

socket.io.on("open", () => {
  const { engine } = socket.io;
  engine.once("upgrade", (transport) => print({ kind: "upgrade", transport: transport.name }));
});
socket.on("connect", () => {
  print({ kind: "connect", transport: socket.io.engine.transport.name });
  if (spec.resume === "subscribe") emit("subscribe", resume(), "subscribe");
});
socket.on("disconnect", (reason) => print({ kind: "disconnect", reason }));
socket.on("connect_error", (error) => print({ kind: "connect_error", message: error.message }));
socket.onAny((event, data) => {
  position = data?.position ?? position;
  print({ kind: "event", event, data });
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    emit(command.emit, command.data, command.id);
  })
  .on("close", () => process.exit(0));
