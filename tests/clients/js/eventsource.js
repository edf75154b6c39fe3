// npm eventsource, which reconnects by itself: `node eventsource.js SPEC`.
import { EventSource } from "eventsource";
import { event, headers, print, refused, spec } from "./lines.js";

const url = `${spec.url}/sse${spec.ticket === undefined ? "" : `?ticket=${spec.ticket}`}`;
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
});
source.onopen = () => print({ kind: "connect" });
for (const type of ["snapshot", "update", "live", "rollover"]) {
  source.addEventListener(type, ({ data, lastEventId }) => {
    const message = JSON.parse(data);
    if (lastEventId !== message.position) throw new Error(`${lastEventId} is not ${message.position}`);
    event(message);
  });
}
source.onerror = ({ code }) => {
  if (source.readyState === EventSource.CLOSED) refused(code);
  print({ kind: "disconnect" });
};
