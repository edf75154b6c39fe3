// npm eventsource, which reconnects by itself: `node eventsource.js SPEC`.
import { EventSource } from "eventsource";
import { events, headers, print, refused, spec } from "./lines.js";

const url = `${spec.url}/sse${spec.ticket === undefined ? "" : `?ticket=${spec.ticket}`}`;
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
});
source.onopen = () => print({ kind: "connect" });
events(source);
source.onerror = ({ code }) => {
  if (source.readyState === EventSource.CLOSED) refused(code);
  print({ kind: "disconnect" });
};
