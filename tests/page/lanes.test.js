// "Every way at once", over the demo with its live purchases and its extra ports.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open, openIn, SOON_MS } from "./browser.js";
import { Demo, Server } from "./server.js";

const LANES = ["socketio-websocket", "socketio-polling", "websocket", "sse", "long-poll", "short-poll", "iframe"];

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const withLanes = ({ link }) => `${link}&view=lanes`;

/** Resolves once every lane shows the same entry, at or after that one. */
const agree = (page, least = 1) =>
  page.waitForFunction(
    (least) => {
      const offsets = new Set([...document.querySelectorAll("[data-lane]")].map((lane) => Number(lane.dataset.offset)));
      return offsets.size === 1 && [...offsets][0] >= least && [...offsets][0];
    },
    least,
    { timeout: SOON_MS },
  ).then((found) => found.jsonValue());

const entriesOf = (page, lane) => page.locator(`[data-lane=${lane}] li[data-offset]`).evaluateAll((lines) => lines.map((line) => line.textContent));

test("two windows follow by every way at once, live", async () => {
  const demo = await Demo.start();
  const page = await open(browser, withLanes(demo));
  const other = await openIn(page.context(), withLanes(demo));
  const names = await page.locator("[data-lane]").evaluateAll((lanes) => lanes.map((lane) => lane.dataset.lane));
  assert.deepEqual(names.toSorted(), LANES.toSorted());
  for (const window of [page, other, page]) {
    await window.bringToFront();
    const offset = await agree(window);
    await agree(window, offset + 2);
  }
  assert.deepEqual([...page.faults, ...other.faults], []);
  await page.leave();
  await demo.stop();
});

test("every lane shows the same entries, and catches up after a cut", async () => {
  const server = await Server.start();
  await server.record({ description: "<b>first</b>" });
  const page = await open(browser, server.link({ view: "lanes" }));
  await agree(page);
  for (const lane of LANES) {
    await page.click(`[data-lane=${lane}] [data-action=cut]`);
    await page.waitForFunction((lane) => document.querySelector(`[data-lane=${lane}]`).dataset.state === "cut", lane);
    for (let count = 0; count < 3; count++) await server.record({ description: `while ${lane} was cut` });
    const { offset } = await server.snapshot();
    await agree(page, offset);
    const entries = await entriesOf(page, "websocket");
    assert.deepEqual(await entriesOf(page, lane), entries);
    assert.match(entries.join("\n"), new RegExp(`while ${lane} was cut`));
  }
  await page.leave();
  await server.stop();
});

test("a killed server's lanes all come back", async () => {
  const server = await Server.start();
  await server.record();
  const page = await open(browser, server.link({ view: "lanes" }));
  await agree(page);
  await server.kill();
  await page.waitForFunction(() => document.querySelector("[data-lane=websocket]").dataset.state !== "live");
  await server.restart();
  for (let count = 0; count < 3; count++) await server.record();
  await agree(page, 4);
  await page.leave();
  await server.stop();
});
