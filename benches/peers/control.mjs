// What the peers in JavaScript have in common: each tells where it listens, and makes messages when a line
// on its control port asks for them. `control.rs` is the same for those in Rust.

import { createServer } from "node:net";

const sent = new Map(); // how many messages each room has had
let payloadBytes = 0;

/** A message of as many bytes as was asked for; `bytes` are those of it without padding. */
const padded = (message, bytes) => ({ ...message, pad: "x".repeat(Math.max(0, payloadBytes - bytes)) });

/** What a watcher gets first: where its account is. */
export function live(account, overhead = 0) {
  const message = { type: "live", account, offset: sent.get(account) ?? 0 };
  return padded(message, overhead + JSON.stringify(message).length);
}

const UPDATE_BYTES = '{"type":"update","account":"","from":,"to":,"pad":""}'.length;

function update(account, overhead) {
  const number = (sent.get(account) ?? 0) + 1;
  sent.set(account, number);
  const bytes = overhead + UPDATE_BYTES + account.length + 2 * String(number).length;
  return padded({ type: "update", account, from: number, to: number }, bytes);
}

/** Obeys the control port; `send` takes a room and the message for all in it. */
export function obey(port, send, overhead = 0) {
  const push = (index) => send(`a-${index}`, update(`a-${index}`, overhead));
  const control = createServer((socket) => {
    const commands = {
      // Answered, because a watcher that comes by another connection may overtake it.
      size: (bytes) => {
        payloadBytes = bytes;
        socket.write("ok\n");
      },
      push,
      unicast: (seed, count, of) => {
        for (let state = seed; count > 0; count--) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          push((state >>> 8) % of);
        }
      },
    };
    let held = "";
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      const lines = (held + text).split("\n");
      held = lines.pop();
      for (const line of lines) {
        const [command, ...numbers] = line.split(" ");
        commands[command](...numbers.map(Number));
      }
    });
    // Whoever measures has gone.
    socket.on("close", () => process.exit());
  });
  control.listen(0, "127.0.0.1", () => console.log(`ready ${port} ${control.address().port}`));
}
