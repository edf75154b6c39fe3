// client-demo/src/feed.ts driven by lines: `node feed.js FEED SPEC`.
//
// FEED is the compiled file; SPEC is JSON: { url, backend, storage, recent }: the feeds' address, the backend that issues tokens, a
// file if the screen is stored, and how many entries it has. Everything that happens is printed as a line of JSON. Lines of JSON on stdin are run:
// { wake }, and actions that no app can take: { repeat } the last update, { lose } the next one, make the clock jump by { sleep_ms }.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const { Feed } = await import(process.argv[2]);
const spec = JSON.parse(process.argv[3]);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const storage = spec.storage && {
  getItem: () => { try { return readFileSync(spec.storage, "utf8"); } catch { return null; } },
  setItem: (_key, text) => writeFileSync(spec.storage, text),
};
const token = async () => (await fetch(`${spec.backend}/token`)).text();

const feed = new Feed({ account: "alice", token, storage, recent: spec.recent });
const show = (message) => print({ kind: "change", message: message?.type, status: feed.status, refusal: feed.refusal, screen: feed.screen });
show();
// Short and constant, so that a test waits for the server and not for a back-off.
const socket = io(`${spec.url}/feed`, { auth: feed.auth, reconnectionDelay: 20, reconnectionDelayMax: 100, randomizationFactor: 0 });
socket.on("connect", () => print({ kind: "connect" }));
socket.on("disconnect", (reason) => print({ kind: "disconnect", reason }));
socket.onAnyOutgoing((event) => print({ kind: "emit", event }));
let last;
socket.onAny((event, message) => { if (event === "update") last = message; });
feed.follow(socket);
feed.onChange(show);

const commands = {
  repeat: () => { for (const take of socket.listeners("update")) take(last); print({ kind: "repeated", screen: feed.screen }); },
  lose: () => {
    const listeners = socket.listeners("update");
    socket.off("update");
    socket.once("update", () => { for (const take of listeners) socket.on("update", take); print({ kind: "lost" }); });
    print({ kind: "losing" });
  },
  sleep_ms: (ms) => { const now = Date.now; Date.now = () => now() + ms; },
  wake: () => { feed.wake(); print({ kind: "woken" }); },
};
createInterface({ input: process.stdin })
  .on("line", (line) => { for (const [name, value] of Object.entries(JSON.parse(line))) commands[name](value); })
  .on("close", () => process.exit(0));
