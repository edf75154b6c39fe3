// npm reconnecting-eventsource: `node reconnecting-eventsource.js SPEC`. It opens another EventSource, with its last id in the
// address, when one has given up.
import { EventSource } from "eventsource";
import ReconnectingEventSource from "reconnecting-eventsource";
import { events, headers, print, refused, spec } from "./lines.js";

// Gives up after every failure, as Firefox does.
class FirefoxEventSource extends EventSource {
  set onerror(handler) {
    super.onerror = (failure) => {
      this.close();
      handler(failure);
    };
  }
}

const source = new ReconnectingEventSource(`${spec.url}/sse?recent=20`, {
  eventSourceClass: FirefoxEventSource,
  // Short, so that a test waits for the server and not for a back-off.
  max_retry_time: 20,
  fetch: async (input, init) => {
    const response = await fetch(input, { ...init, headers: { ...init.headers, ...headers } });
    // It hides the status and goes on trying.
    if (response.status >= 400) refused(response.status);
    return response;
  },
});
source.onopen = () => print({ kind: "connect" });
events(source);
source.onerror = () => print({ kind: "disconnect" });
