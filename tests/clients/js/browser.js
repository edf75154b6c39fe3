// A page in Debian's Chromium that follows a feed in four ways at once: `node browser.js SPEC`.
//
// SPEC is JSON { url, account, ticket, profile }: the server, and an empty folder for the browser. The page is
// served from here, and so is the server, as behind a reverse proxy: an iframe calls its page only if both are of
// one origin. The page's messages are printed as lines of JSON, { kind: "event", event, via, data }; anything that
// a page should not do is { kind: "fault" }. The end of stdin is the end.
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { chromium } from "playwright-core";

const spec = JSON.parse(process.argv[2]);
const server = new URL(spec.url);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const fault = (what) => print({ kind: "fault", what: String(what) });

const PAGE = `<!doctype html><meta charset="utf-8"><title>feed</title><link rel="icon" href="data:,">
<script type="module">
  const feed = "/v1/feeds/${spec.account}", ticket = "ticket=${spec.ticket}";
  window.on = (message) => got("iframe", message);
  window.harm = () => fault("a description ran");
  const iframe = document.createElement("iframe");
  iframe.src = feed + "/iframe?callback=on&" + ticket;
  document.body.append(iframe);

  const source = new EventSource(feed + "/sse?" + ticket);
  for (const type of ["snapshot", "live", "update"]) {
    source.addEventListener(type, ({ data }) => got("eventsource", JSON.parse(data)));
  }
  const socket = new WebSocket(location.origin.replace("http", "ws") + feed + "/ws?" + ticket);
  socket.onmessage = ({ data }) => got("websocket", JSON.parse(data));

  const { body } = await fetch(feed + "/stream?" + ticket);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const lines = (text += (await reader.read()).value).split("\\n");
    text = lines.pop();
    for (const line of lines.filter(Boolean)) got("fetch", JSON.parse(line));
  }
</script>`;

const proxy = createServer((asked, answer) => {
  if (asked.url === "/") return answer.setHeader("content-type", "text/html").end(PAGE);
  if (!asked.url.startsWith("/v1/")) fault(`the page asks for ${asked.url}`);
  const { url: path, method, headers } = asked;
  const passed = request(server, { path, method, headers }, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.pipe(answer);
    answer.on("close", () => response.destroy());
  });
  passed.on("error", () => answer.destroy());
  asked.pipe(passed);
});
proxy.on("upgrade", ({ method, url, rawHeaders }, client) => {
  const lines = rawHeaders.flatMap((name, at) => (at % 2 ? [] : [`${name}: ${rawHeaders[at + 1]}`]));
  const upstream = connect(server.port, server.hostname);
  upstream.write([`${method} ${url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
  client.pipe(upstream).pipe(client);
  for (const end of [client, upstream]) end.on("error", () => end.destroy());
});
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));

const browser = await chromium.launchPersistentContext(spec.profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const page = await browser.newPage();
await page.exposeFunction("got", (via, data) => print({ kind: "event", event: data.type, via, data }));
await page.exposeFunction("fault", fault);
page.on("console", (said) => said.type() === "error" && fault(said.text()));
page.on("pageerror", fault);
page.on("dialog", (dialog) => fault(dialog.message()));

process.stdin.resume().on("end", async () => {
  await browser.close();
  process.exit();
});
// Not "load": the iframe never ends.
await page.goto(`http://127.0.0.1:${proxy.address().port}/`, { waitUntil: "commit" });
print({ kind: "connect", version: browser.browser()?.version() });
