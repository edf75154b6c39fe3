import type { FeedMessage } from "../contract";
import { make } from "../dom";
import { bytesOf } from "./address";
import { keep, pushed, type Open } from "./lane";

/** Browsers do not report that a frame's response broke off. But the server writes something at least every 15 seconds. */
const SILENCE_MAX_MS = 20_000;

/** This page's functions, by the names that the frames call. */
const callbacks = window as unknown as Record<string, (message: FeedMessage) => void>;
let frames = 0;

/** A hidden page that never finishes loading, whose scripts call a function of this page. */
export const iframe: Open = (tally, address) =>
  keep(tally, async (signal) => {
    const ticket = await address.ticket(tally, signal);
    // Waits for the page's load event, which would never come once the endless frame is part of the page.
    await loaded();
    await pushed(tally, signal, (take, end) => {
      const callback = `tallycast_${++frames}`;
      const frame = make("iframe", { src: String(address.feed("/iframe", tally, { callback, ticket })), title: "iframe", hidden: "" });
      let silence: ReturnType<typeof setTimeout>;
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MAX_MS);
      };
      const writing = new MutationObserver(heard);
      callbacks[callback] = (message) => {
        const page = frame.contentDocument;
        if (!page) return;
        writing.observe(page, { childList: true, characterData: true, subtree: true });
        // Otherwise the endless page would keep every message in memory.
        page.currentScript?.remove();
        tally.count({ bytes: bytesOf(JSON.stringify(message)) });
        take(message);
      };
      frame.addEventListener("load", () => end());
      document.body.append(frame);
      tally.count({ requests: 1 });
      heard();
      return () => {
        clearTimeout(silence);
        writing.disconnect();
        delete callbacks[callback];
        frame.remove();
      };
    });
  });

const loaded = (): Promise<unknown> =>
  document.readyState === "complete" ? Promise.resolve() : new Promise((resolve) => addEventListener("load", resolve, { once: true }));
