import { bytesOf } from "./address";
import { keep, pushed, type Open } from "./lane";

/** A plain WebSocket: each message is a text frame. */
export const websocket: Open = (tally, address) =>
  keep(tally, async (signal) => {
    const ticket = await address.ticket(tally, signal);
    const url = address.feed("/ws", tally, { ticket });
    url.protocol = url.protocol.replace("http", "ws");
    await pushed(tally, signal, (take, end) => {
      const socket = new WebSocket(url);
      tally.count({ requests: 1 });
      socket.onmessage = ({ data }) => {
        tally.count({ bytes: bytesOf(data) });
        take(JSON.parse(data));
      };
      socket.onclose = () => end();
      return () => {
        socket.onmessage = socket.onclose = null;
        socket.close();
      };
    });
  });
