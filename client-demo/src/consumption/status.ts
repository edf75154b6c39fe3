import { ago, timeOfDay } from "../clock";
import { byId } from "../dom";
import type { Feed, Status } from "../feed";
import { words } from "../words";

const TICK_MS = 1000;

const text = (status: Status): string => {
  const { connecting, catching_up, live, stale, offline, refused } = words();
  return { connecting, "catching-up": catching_up, live, stale, offline, refused }[status];
};

/** Shows how far the figures can be trusted, and how old they are. */
export class StatusLine {
  readonly #feed: Feed;
  readonly #timer = setInterval(() => this.#age(), TICK_MS);
  #updated = 0;

  constructor(feed: Feed) {
    this.#feed = feed;
  }

  show(isUpdated: boolean): void {
    const { status, refusal } = this.#feed;
    if (isUpdated) this.#updated = Date.now();
    const line = byId("status");
    // Updated only when it changes, because screen readers read it aloud.
    if (line.dataset.status !== status || line.lang !== document.documentElement.lang) {
      line.dataset.status = status;
      line.lang = document.documentElement.lang;
      line.textContent = text(status);
    }
    byId("consumption").classList.toggle("old", status === "stale" || status === "offline" || status === "connecting");
    const notice = byId("notice");
    notice.hidden = status !== "refused";
    if (status === "refused") notice.textContent = words().refused_because(refusal);
    this.#age();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #age(): void {
    const { screen, status } = this.#feed;
    const entry = screen?.entries.at(-1);
    const trusted = status === "live" || status === "catching-up";
    if (!this.#updated && screen && entry && !trusted) {
      byId("updated").textContent = words().as_of(timeOfDay(entry.recorded_at, screen.timeZone));
    } else if (this.#updated) {
      const since = ago(this.#updated);
      byId("updated").textContent = since ? words().updated(since) : words().updated_now;
    } else {
      byId("updated").textContent = "";
    }
  }
}
