// Pictures of the page, with the demo: `make screenshots` writes them to target/screenshots for review.
// With `--readme` the two small ones of the README are made too.
import { mkdirSync } from "node:fs";
import { launch, open, status } from "./browser.js";
import { Demo } from "./server.js";

const root = new URL("../../", import.meta.url).pathname;
const all = `${root}target/screenshots`;
const readme = `${root}docs/images`;

const DESKTOP = { viewport: { width: 1280, height: 920 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const DARK = { colorScheme: "dark" };
const CHINESE = { locale: "zh-CN" };
const PICTURES = {
  desktop: DESKTOP,
  "desktop-dark": { ...DESKTOP, ...DARK },
  "desktop-chinese": { ...DESKTOP, ...CHINESE },
  phone: PHONE,
  "phone-dark-chinese": { ...PHONE, ...DARK, ...CHINESE },
};

/** Long enough for every lane to have got an entry. */
const LIVELY_MS = 8000;

async function picture(browser, link, view, options, path, shot = {}) {
  const page = await open(browser, `${link}&view=${view}`, options);
  if (view === "consumption") await status(page, "live");
  await page.waitForTimeout(LIVELY_MS);
  await page.screenshot({ path, ...shot });
  await page.leave();
  console.log(path.slice(root.length));
}

const [browser, demo] = [await launch(), await Demo.start()];
mkdirSync(all, { recursive: true });
for (const [name, options] of Object.entries(PICTURES)) {
  for (const view of ["consumption", "lanes"]) {
    await picture(browser, demo.link, view, options, `${all}/${view}-${name}.png`, { fullPage: true });
  }
}
if (process.argv.includes("--readme")) {
  mkdirSync(readme, { recursive: true });
  const small = { viewport: { width: 1180, height: 830 }, deviceScaleFactor: 0.75 };
  await picture(browser, demo.link, "consumption", small, `${readme}/my-consumption.png`);
  await picture(browser, demo.link, "lanes", small, `${readme}/every-way.png`);
}
await browser.close();
await demo.stop();
