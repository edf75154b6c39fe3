// One account's screen: what the feed says, and nothing that it does not say.
import { show, showState } from "./screen.js";

// The token is in the fragment, which browsers send to nobody.
const link = new URLSearchParams(location.hash.slice(1));
const token = link.get("token");
const account = link.get("account");

const shown = { totals: new Map(), entries: [] };
let position;

const pairOf = (totals) => `${totals.meter}\n${totals.unit}`;

const apply = {
  snapshot(message) {
    shown.totals = new Map(message.totals.map((totals) => [pairOf(totals), totals]));
    shown.entries = message.recent;
  },
  update(message) {
    for (const totals of message.totals ?? []) shown.totals.set(pairOf(totals), totals);
    shown.entries = [...shown.entries, ...message.entries].slice(-20);
  },
  rollover(message) {
    shown.totals = new Map(message.totals.map((totals) => [pairOf(totals), totals]));
  },
  live() {},
};

function take(message) {
  apply[message.type](message);
  position = message.position;
  show(shown);
}

function followLive(io) {
  const socket = io("/feed", { auth: (give) => give({ token, account, after: position }) });
  for (const type of Object.keys(apply)) socket.on(type, take);
  socket.on("connect", () => showState("live", "live"));
  socket.on("disconnect", () => showState("waiting", "connecting again"));
  socket.on("connect_error", (error) => {
    // A refusal is final; anything else is tried again by the client itself.
    if (socket.active) showState("waiting", "connecting again");
    else showState("refused", `refused: ${error.message}; open the link that the demo prints now`);
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A binary that was built without the Socket.IO client serves no socket.io.js: wait for each message instead.
async function poll() {
  const feed = new URL(`v1/feeds/${encodeURIComponent(account)}`, location.origin + location.pathname);
  const headers = { authorization: `Bearer ${token}` };
  for (;;) {
    const query = position ? `?${new URLSearchParams({ after: position, wait: 25 })}` : "";
    try {
      const answer = await fetch(feed + query, { headers });
      if (answer.status === 401 || answer.status === 404) {
        return showState("refused", "refused; open the link that the demo prints now");
      }
      if (!answer.ok) throw new Error(answer.statusText);
      if (answer.status === 200) take(await answer.json());
      showState("live", "live, by long polling");
    } catch {
      showState("waiting", "connecting again");
      await pause(1000);
    }
  }
}

document.getElementById("account").textContent = account ?? "";
if (!token || !account) {
  showState("refused", "open the link that the demo prints in its terminal");
} else {
  showState("waiting", "connecting");
  import("./socket.io.js").then(({ io }) => followLive(io), poll);
}
