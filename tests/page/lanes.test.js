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

/** An iframe notices only by silence that its server is gone. */
const HEALED_MS = 45_000;

/** Resolves once every lane has that entry. */
const reached = (page, offset, timeout = SOON_MS) =>
  page.waitForFunction(
    (offset) => [...document.querySelectorAll("[data-lane]")].every((lane) => Number(lane.dataset.offset) >= offset),
    offset,
    { timeout },
  );

/** The entries of each lane, by their offsets, without the time that they took. */
const entries = (page) =>
  page.evaluate(() => {
    const text = (line) => `${line.querySelector(".what").textContent} ${line.querySelector(".value").textContent}`;
    const linesOf = (lane) => [...lane.querySelectorAll("li[data-offset]")].map((line) => [Number(line.dataset.offset), text(line)]);
    return Object.fromEntries([...document.querySelectorAll("[data-lane]")].map((lane) => [lane.dataset.lane, linesOf(lane)]));
  });

/** Entries on several lanes are the same on each. */
function agree(lanes) {
  const seen = new Map();
  for (const [lane, lines] of Object.entries(lanes)) {
    assert.ok(lines.length > 0, `${lane} shows nothing`);
    for (const [offset, text] of lines) {
      assert.equal(text, seen.get(offset) ?? text, `${lane}, entry ${offset}`);
      seen.set(offset, text);
    }
    const offsets = lines.map(([offset]) => offset);
    assert.deepEqual(offsets, offsets.map((_, index) => offsets[0] - index), `${lane} has a gap`);
  }
  return seen;
}

test("two windows follow by every way at once, live", async (t) => {
  const demo = await Demo.start();
  t.after(() => demo.stop());
  const page = await open(browser, withLanes(demo));
  const other = await openIn(page.context(), withLanes(demo));
  const names = await page.locator("[data-lane]").evaluateAll((lanes) => lanes.map((lane) => lane.dataset.lane));
  assert.deepEqual(names.toSorted(), LANES.toSorted());
  for (const window of [page, other, page]) {
    await window.bringToFront();
    await reached(window, 1);
    const { sse: [[offset]] } = await entries(window);
    // Purchases also come by themselves, but that may take long.
    for (let cup = 0; cup < 2; cup++) await window.locator("[data-thing=coffee]:visible").click();
    await reached(window, offset + 2);
    agree(await entries(window));
  }
  assert.deepEqual([...page.faults, ...other.faults], []);
  await page.leave();
});

test("every lane shows the same entries, and catches up after a cut", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  await server.record({ description: "<b>first</b>" });
  const page = await open(browser, server.link({ view: "lanes" }));
  await reached(page, 1);
  for (const lane of LANES) {
    await page.click(`[data-lane=${lane}] [data-action=cut]`);
    await page.waitForFunction((lane) => document.querySelector(`[data-lane=${lane}]`).dataset.state === "cut", lane);
    for (let count = 0; count < 3; count++) await server.record({ description: `while ${lane} was cut` });
    const { offset, totals } = await server.snapshot();
    const others = LANES.filter((other) => other !== lane);
    await page.waitForFunction(([others, offset]) => others.every((lane) => document.querySelector(`[data-lane=${lane}]`).dataset.offset === offset), [others, String(offset)]);
    assert.equal(await page.getAttribute(`[data-lane=${lane}]`, "data-offset"), String(offset - 3), "a cut lane gets nothing");
    await reached(page, offset);
    assert.equal(agree(await entries(page)).get(offset).startsWith(`while ${lane} was cut`), true);
    const amounts = await page.locator("[data-lane]").evaluateAll((lanes) => lanes.map((lane) => lane.dataset.amount));
    assert.deepEqual(new Set(amounts), new Set([totals[0].day.amount]));
    await page.locator(`[data-lane=${lane}] .note`, { hasText: "Caught up 3 entries, nothing lost" }).waitFor();
  }
  await page.leave();
});

test("a killed server's lanes all come back", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  await server.record();
  const page = await open(browser, server.link({ view: "lanes" }));
  await reached(page, 1);
  await server.kill();
  await page.waitForFunction(() => document.querySelector("[data-lane=websocket]").dataset.state !== "live");
  await server.restart();
  for (let count = 0; count < 3; count++) await server.record();
  await reached(page, 4, HEALED_MS);
  assert.equal(agree(await entries(page)).size, 4);
  await page.leave();
});
