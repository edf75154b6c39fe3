// Debian's Chromium, which reaches no address but the page's server.
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** How soon a customer must see a new entry. */
export const LIVE_MS = 1000;
/** For steps without a promised time: starting, catching up after a cut. */
export const SOON_MS = 20_000;

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/** A window that records all errors in it. */
export async function open(browser, link, options = {}) {
  const context = await browser.newContext({ locale: "en-US", ...options });
  context.setDefaultTimeout(SOON_MS);
  const page = await openIn(context, link);
  page.leave = () => context.close();
  return page;
}

export async function openIn(context, link) {
  const page = await context.newPage();
  page.faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("requestfailed", (request) => page.faults.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && page.faults.push(`${response.url()}: ${response.status()}`));
  await page.goto(link);
  return page;
}

export const status = (page, wanted, timeout = SOON_MS) =>
  page.waitForFunction((wanted) => document.getElementById("status").dataset.status === wanted, wanted, { timeout });

export const figure = (page, id, wanted, timeout = SOON_MS) =>
  page.waitForFunction(([id, wanted]) => document.getElementById(id).dataset.amount === wanted, [id, wanted], { timeout });

/** What is on the screen, in the ledger's form. */
export const shown = (page) =>
  page.evaluate(() => ({
    today: document.getElementById("today").dataset.amount,
    month: document.getElementById("month").dataset.amount,
    offsets: [...document.querySelectorAll("#entries li[data-offset]")].map((line) => Number(line.dataset.offset)),
  }));

/** The same for a snapshot. */
export function expected({ totals: [totals], recent }, entries) {
  return { today: totals.day.amount, month: totals.month.amount, offsets: recent.map(({ offset }) => offset).reverse().slice(0, entries) };
}
