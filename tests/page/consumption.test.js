// "My consumption": what is on the screen equals the ledger, whatever happens to the page.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { expected, figure, launch, LIVE_MS, open, openIn, shown, status } from "./browser.js";
import { ACCOUNT, Server } from "./server.js";

const ENTRIES_SHOWN = 12;

let browser;
let server;
before(async () => (browser = await launch()));
after(() => browser.close());
beforeEach(async () => (server = await Server.start()));
afterEach(() => server.stop());

/** Opens the page on one account, ready. */
async function ready(options, link = server.link()) {
  const page = await open(browser, link, options);
  await status(page, "live");
  return page;
}

async function equalsLedger(page, account = ACCOUNT) {
  const snapshot = await server.snapshot(account);
  await figure(page, "today", snapshot.totals[0].day.amount);
  await page.waitForFunction((offset) => document.querySelector("#entries li")?.dataset.offset === String(offset), snapshot.offset);
  assert.deepEqual(await shown(page), expected(snapshot, ENTRIES_SHOWN));
}

async function leave(page, faults = []) {
  assert.deepEqual(page.faults, faults);
  await page.leave();
}

test("figures move within a second of a post", async () => {
  await server.record({ amount: "100", time: new Date(Date.now() - 86_400_000).toISOString() });
  await server.record();
  const page = await ready();
  await figure(page, "today", "1.25");
  await server.record({ amount: "10.5" });
  await figure(page, "today", "11.75", LIVE_MS);
  await page.waitForFunction(() => document.getElementById("today").textContent === "€11.75");
  await equalsLedger(page);
  await leave(page);
});

test("a killed server's page catches up without a reload", async () => {
  for (let count = 0; count < 3; count++) await server.record();
  const page = await ready();
  await server.kill();
  await status(page, "stale");
  assert.equal((await shown(page)).today, "3.75", "the figures stay");
  await server.restart();
  for (let count = 0; count < 30; count++) await server.record({ amount: "0.10" });
  await status(page, "live");
  await equalsLedger(page);
  assert.equal((await page.evaluate(() => performance.getEntriesByType("navigation"))).length, 1);
  // Its other requests failed too while the server was down.
  const isOfKill = (fault) => fault.includes("socket.io") || fault.includes("net::ERR_CONNECTION_");
  assert.ok(page.faults.every(isOfKill), page.faults.join("\n"));
  await page.leave();
});

test("a reload goes on from where it was", async () => {
  await server.record();
  const page = await ready();
  const messages = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => messages.push(payload)));
  await server.record();
  await figure(page, "today", "2.50");
  await page.goto("about:blank");
  await server.record();
  await page.goBack();
  await status(page, "live");
  await equalsLedger(page);
  const names = messages.map((text) => /^42\/feed,\["(\w+)"/.exec(text)?.[1]).filter(Boolean);
  assert.ok(names.includes("update") && !names.includes("snapshot"), names.join());
  await page.leave();
});

test("a page without a network says so and ends right", async () => {
  await server.record();
  const page = await ready();
  await page.context().setOffline(true);
  await status(page, "offline");
  await server.record({ amount: "7" });
  assert.equal((await shown(page)).today, "1.25");
  await page.context().setOffline(false);
  await status(page, "live");
  await equalsLedger(page);
  await page.leave();
});

test("a page that slept ends right", async () => {
  await server.record();
  const page = await ready();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  for (let count = 0; count < 5; count++) await server.record();
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await equalsLedger(page);
  await leave(page);
});

test("another account is another screen", async () => {
  await server.record();
  await server.record({ account: "bob", amount: "99", unit: "kWh", meter: "energy", description: "night tariff" });
  const page = await ready();
  await equalsLedger(page);
  await page.selectOption("#account", "bob");
  await status(page, "live");
  await figure(page, "today", "99");
  assert.match(await page.textContent("#today"), /^99\s?kWh$/);
  assert.equal(await page.locator("#entries li").count(), 1);
  assert.equal(await page.locator("#chart .uplot").count(), 1);
  await server.record();
  await page.reload();
  await status(page, "live");
  await equalsLedger(page, "bob");
  await leave(page);
});

test("a figure that still counts up does not outlive its account", async () => {
  await server.record();
  await server.record({ account: "bob", amount: "99" });
  const page = await ready();
  await server.record({ amount: "5000" });
  await figure(page, "today", "5001.25");
  await page.selectOption("#account", "bob");
  await figure(page, "today", "99");
  // Longer than any figure takes to animate.
  const since = await page.evaluate(() => performance.now());
  await page.waitForFunction((since) => performance.now() > since + 1500, since);
  assert.equal(await page.textContent("#today"), "€99.00");
  await leave(page);
});

test("a button keeps the focus while figures move", async () => {
  await server.record();
  const page = await ready();
  await page.focus("[data-thing=coffee]");
  await server.record();
  await figure(page, "today", "2.50");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.thing), "coffee");
  await leave(page);
});

test("a coffee moves the figure in every window", async () => {
  await server.record({ unit: "USD" });
  const [bought, watched] = [await ready(), await ready()];
  await bought.click("[data-thing=coffee]");
  for (const page of [bought, watched]) {
    await figure(page, "today", "4.45", LIVE_MS * 2);
    await equalsLedger(page);
    await leave(page);
  }
});

test("two windows of one browser share what they keep and both are right", async () => {
  await server.record();
  const page = await ready();
  const other = await openIn(page.context(), server.link());
  await status(other, "live");
  for (let count = 0; count < 10; count++) await server.record({ amount: "0.01" });
  for (const window of [page, other]) await equalsLedger(window);
  await other.reload();
  await equalsLedger(other);
  assert.deepEqual(other.faults, []);
  await leave(page);
});

test("a description is text, whatever it says", async () => {
  const texts = ["<script>document.title='harm'</script>", "<img src=x onerror=\"document.title='harm'\">", "\u{1f35c} \u202e&amp; '\"`"];
  const page = await ready();
  for (const description of texts) await server.record({ description, category: description.slice(0, 20) });
  await page.waitForFunction((count) => document.querySelectorAll("#entries li[data-offset]").length === count, texts.length);
  const lines = await page.locator("#entries .what").allTextContents();
  texts.reverse().forEach((text, index) => assert.ok(lines[index].startsWith(text), lines[index]));
  assert.equal(await page.locator("main script, main img").count(), 0);
  assert.equal(await page.title(), "Tallycast");
  await leave(page);
});

test("a correction is its own line", async () => {
  await server.record({ id: "noodles", amount: "8.50", description: "noodles" });
  const page = await ready();
  await server.record({ kind: "adjustment", amount: "-0.50", description: "a discount" });
  await server.record({ kind: "reversal", amount: undefined, unit: undefined, category: undefined, reverses: "noodles" });
  await figure(page, "today", "-0.50");
  assert.deepEqual(await page.locator("#entries .value").allTextContents(), ["-€8.50", "-€0.50", "€8.50"]);
  assert.equal(await page.locator("#entries .reversal, #entries .adjustment").count(), 2);
  await equalsLedger(page);
  await leave(page);
});

test("a budget has a bar and its alert a banner", async () => {
  await server.profile({ budgets: [{ id: "food", unit: "EUR", window: "month", limit: "10", thresholds: [80] }] });
  await server.record({ amount: "5" });
  const page = await ready();
  const bar = page.getByRole("meter", { name: "food" });
  assert.equal(await bar.getAttribute("aria-valuetext"), "€5.00 of €10.00");
  assert.equal(await page.locator(".banner").count(), 0);
  await server.record({ amount: "3.20" });
  await page.locator("#alerts .banner", { hasText: "food: 80% of €10.00 is spent" }).waitFor();
  assert.equal(await bar.getAttribute("aria-valuenow"), "82");
  await equalsLedger(page);
  await page.getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await page.locator(".banner").count(), 0);
  await leave(page);
});

test("several meters can be chosen between", async () => {
  await server.record({ amount: "5" });
  await server.record({ amount: "12.345", unit: "kWh", meter: "energy" });
  const page = await ready();
  await page.getByRole("button", { name: "energy · kWh" }).click();
  await figure(page, "today", "12.345");
  await server.record({ amount: "1", unit: "kWh", meter: "energy" });
  await figure(page, "today", "13.345");
  await page.getByRole("button", { name: "spend · EUR" }).click();
  await figure(page, "today", "5");
  await leave(page);
});

test("amounts are written exactly, however long they are", async () => {
  await server.record({ amount: "123456789012345.123456789", unit: "CNY" });
  const page = await ready();
  await page.waitForFunction(() => document.getElementById("month").textContent === "¥123,456,789,012,345.123456789");
  await leave(page);
});

test("a token that the server refuses is told, with the cure", async () => {
  const page = await open(browser, server.link({ token: "nonsense" }));
  await page.getByRole("alert").filter({ hasText: "Open the link that it prints now" }).waitFor();
  assert.equal(await page.textContent("#status"), "Refused");
  assert.equal(await page.locator("#board").isVisible(), false, "no figures of anybody");
  const bare = await openIn(page.context(), `${server.url}/`);
  await bare.getByRole("alert").filter({ hasText: "Open the link that the server printed" }).waitFor();
  assert.deepEqual(bare.faults, []);
  await page.leave();
});

test("an app's token, which may not record, has no buttons that spend", async () => {
  const page = await ready({}, server.link({ token: server.watchToken }));
  assert.equal(await page.locator("[data-thing]").count(), 0);
  await leave(page);
});
