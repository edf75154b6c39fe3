// Every customer's app at once, on stock clients: `node customers.js URL TOKEN`.
//
// The first line of stdin is JSON, { account: entries }. Each socket follows a handful of accounts and shows
// its messages. Printed as lines of JSON: { seen } from time to time, { totals } once every account has its
// entries and again for each further line of stdin, { fault } for a gap or a repeat.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const ACCOUNTS_PER_SOCKET = 16;
const SEEN_STEP = 500;

const [url, token] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const screens = new Map();
let seen = 0;
let told = 0;

function apply(message) {
  const screen = screens.get(message.account);
  if (message.type === "update" && message.from !== screen.offset + 1) {
    print({ fault: `${message.account}: ${message.from} after ${screen.offset}` });
  }
  const offset = message.to ?? message.offset;
  seen += offset - screen.offset;
  screen.offset = offset;
  screen.position = message.position;
  if (message.totals) screen.totals = message.totals;
  if (seen - told >= SEEN_STEP) print({ seen: (told = seen) });
  if (seen === screens.expected) printTotals();
}

function printTotals() {
  const totals = {};
  for (const [account, screen] of screens) totals[account] = screen.totals;
  print({ totals });
}

function follow(accounts) {
  const socket = io(`${url}/feed`, {
    auth: { token, subscribe: false },
    forceNew: true,
    transports: ["websocket"],
    reconnectionDelay: 20,
    reconnectionDelayMax: 200,
  });
  socket.on("connect", () => {
    for (const account of accounts) {
      const after = screens.get(account).position;
      socket.emit("subscribe", { account, recent: 0, ...(after && { after }) }, (answer) => {
        if (!answer.ok) print({ fault: `${account}: ${answer.code}` });
      });
    }
  });
  for (const type of ["snapshot", "update", "rollover"]) socket.on(type, apply);
}

const input = createInterface({ input: process.stdin });
input.once("line", (line) => {
  const expected = Object.entries(JSON.parse(line));
  screens.expected = expected.reduce((sum, [, entries]) => sum + entries, 0);
  for (const [account] of expected) screens.set(account, { offset: 0, totals: [] });
  const accounts = [...screens.keys()];
  for (let at = 0; at < accounts.length; at += ACCOUNTS_PER_SOCKET) {
    follow(accounts.slice(at, at + ACCOUNTS_PER_SOCKET));
  }
  input.on("line", printTotals);
});
input.on("close", () => process.exit(0));
