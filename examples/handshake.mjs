// A WebSocket client on a bare TCP connection, to show what a client library does for you.
//
//   node examples/handshake.mjs ws://127.0.0.1:3000 TOKEN ACCOUNT
//
// 1. It opens a TCP connection and sends an HTTP upgrade request with a random key.
// 2. It checks that the server's response matches the key (RFC 6455, section 4.1).
// 3. It reads frames (section 5.2): two bytes, an extended length if needed, the payload. A server's frames are not
//    masked, and Tallycast never fragments them; a client's frames must be masked.
// 4. It answers pings, prints each message as a line of JSON, and sends a message of its own: { "type": "ping" }.
//
// It has no TLS and does not reconnect: in an app use `new WebSocket(url)`.
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1, CLOSE = 8, PING = 9, PONG = 10;

function fail(why) {
  console.error(why);
  process.exit(1);
}

const [server, token, account] = process.argv.slice(2);
const { hostname, port, host } = new URL(server);
const socket = connect(port || 80, hostname);
socket.on("error", (error) => fail(error.message));

const chunks = socket[Symbol.asyncIterator]();
let received = Buffer.alloc(0);
async function read(length) {
  while (received.length < length) {
    const { value, done } = await chunks.next();
    if (done) fail("the connection has ended");
    received = Buffer.concat([received, value]);
  }
  const bytes = received.subarray(0, length);
  received = received.subarray(length);
  return bytes;
}

function send(opcode, payload) { // At most 125 bytes: a longer payload needs an extended length.
  const mask = randomBytes(4);
  const masked = payload.map((byte, at) => byte ^ mask[at % 4]);
  socket.write(Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]));
}

const key = randomBytes(16).toString("base64");
socket.write(`GET /v1/feeds/${encodeURIComponent(account)}/ws HTTP/1.1\r\nHost: ${host}\r\n`
  + `Authorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
  + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`);
let head = "";
while (!head.endsWith("\r\n\r\n")) head += await read(1);
if (!head.startsWith("HTTP/1.1 101 ")) fail(head.split("\r\n")[0]);
const accept = createHash("sha1").update(key + GUID).digest("base64");
if (/^sec-websocket-accept: *(\S*)/im.exec(head)?.[1] !== accept) fail("this is no answer to our key");

send(TEXT, Buffer.from('{"type":"ping"}'));
for (;;) {
  const [first, second] = await read(2);
  let length = second & 0x7f;
  if (length === 126) length = (await read(2)).readUInt16BE();
  else if (length === 127) length = Number((await read(8)).readBigUInt64BE());
  const payload = await read(length);
  const opcode = first & 0x0f;
  if (opcode === TEXT) console.log(String(payload));
  if (opcode === PING) send(PONG, payload);
  if (opcode === CLOSE) fail(payload.length < 2 ? "closed" : `closed: ${payload.readUInt16BE()}`);
}
