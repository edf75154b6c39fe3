import { bytesOf } from "./address";
import { keep, pushed, type Open } from "./lane";

const TYPES = ["snapshot", "update", "rollover", "live"];

/** The browser's own `EventSource`. It would reconnect by itself, but a ticket is valid for only five minutes. */
export const sse: Open = (tally, address) =>
  keep(tally, async (signal) => {
    const ticket = await address.ticket(tally, signal);
    await pushed(tally, signal, (take, end) => {
      const source = new EventSource(address.feed("/sse", tally, { ticket }));
      tally.count({ requests: 1 });
      for (const type of TYPES) {
        source.addEventListener(type, ({ data }) => {
          tally.count({ bytes: bytesOf(data) });
          take(JSON.parse(data));
        });
      }
      source.onerror = () => end();
      return () => source.close();
    });
  });
