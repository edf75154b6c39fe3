// npm event-source-polyfill: `node event-source-polyfill.js SPEC`. It reconnects by itself, with its last id in the address.
import polyfill from "event-source-polyfill";
import { events, headers, print, refused, spec } from "./lines.js";

const { EventSourcePolyfill } = polyfill;
const source = new EventSourcePolyfill(`${spec.url}/sse?recent=20`, { headers });
source.onopen = () => print({ kind: "connect" });
events(source);
source.onerror = ({ status }) => {
  if (source.readyState === EventSourcePolyfill.CLOSED) refused(status);
  print({ kind: "disconnect" });
};
