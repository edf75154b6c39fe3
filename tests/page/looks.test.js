// How the page looks and reads: accessible, in both languages, on a phone, under its policy.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, open, status } from "./browser.js";
import { Server } from "./server.js";

const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

let browser;
let server;
before(async () => {
  [browser, server] = [await launch(), await Server.start()];
  await server.profile({ budgets: [{ id: "food", unit: "EUR", window: "day", limit: "20", thresholds: [95] }] });
  await server.record({ account: "bob", amount: "123456789012345.123456789", unit: "CNY", description: "x".repeat(200) });
  for (const category of ["food", "rail", "books"]) await server.record({ category, amount: "5.40", description: `for ${category}` });
});
after(async () => {
  await browser.close();
  await server.stop();
});

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

for (const view of ["consumption", "lanes"]) {
  for (const [name, options] of Object.entries({ light: {}, dark: { colorScheme: "dark" }, phone: PHONE, chinese: { locale: "zh-CN" } })) {
    test(`axe finds no serious fault: ${view}, ${name}`, async () => {
      const page = await open(browser, server.link({ view }), { ...options, reducedMotion: "reduce" });
      await settled(page, view);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const faults = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(faults.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
      assert.deepEqual(page.faults, []);
      await page.leave();
    });
  }

  test(`nothing is wider than a phone: ${view}`, async () => {
    for (const account of ["alice", "bob"]) {
      const page = await open(browser, server.link({ view, account }), PHONE);
      await settled(page, view);
      const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= screen, `${account}: ${content} > ${screen}`);
      await page.leave();
    }
  });
}

async function settled(page, view) {
  if (view === "consumption") await status(page, "live");
  else await page.waitForFunction(() => [...document.querySelectorAll("[data-lane]")].every((lane) => lane.dataset.state === "live"));
}

test("it speaks Chinese where the browser does, and keeps what was chosen", async () => {
  const page = await open(browser, server.link(), { locale: "zh-CN" });
  await status(page, "live");
  assert.equal(await page.textContent("#today-title"), "今天");
  assert.equal(await page.textContent("#status"), "实时");
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN");
  await page.selectOption("#language", "en");
  assert.equal(await page.textContent("#today-title"), "Today");
  assert.equal(await page.textContent("#status"), "Live");
  await page.reload();
  assert.equal(await page.textContent("#today-title"), "Today");
  await page.leave();
});

test("numbers are written as the reader writes them", async () => {
  const page = await open(browser, server.link(), { locale: "en-GB" });
  await status(page, "live");
  await page.waitForFunction(() => document.getElementById("today").textContent === "€16.20");
  await page.leave();
});

test("the keyboard reaches everything, figures first", async () => {
  const page = await open(browser, server.link());
  await status(page, "live");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.thing), "coffee");
  await page.leave();
});

test("its policy lets nothing in but its own server's files", async () => {
  const answer = await fetch(server.url);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.match(policy, /require-trusted-types-for 'script'/);
  assert.doesNotMatch(policy, /unsafe|https?:\/\/\*(?!:)/);
  const page = await open(browser, server.link());
  await status(page, "live");
  const refused = await page.evaluate(() => {
    const harm = document.createElement("script");
    return Promise.race([
      new Promise((resolve) => document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => resolve(effectiveDirective))),
      (async () => (harm.textContent = "document.title='harm'", document.head.append(harm), new Promise(() => {})))(),
    ]).catch((error) => String(error));
  });
  assert.match(refused, /script|TrustedScript/);
  assert.equal(await page.title(), "Tallycast");
  await page.leave();
});
