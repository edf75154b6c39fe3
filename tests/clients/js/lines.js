// What the followers here share: SPEC, the last argument, is JSON { url, token, ticket, ca } with the address of
// a feed. Everything that happens is printed as lines of JSON; the end of stdin ends the program.
export const spec = JSON.parse(process.argv.at(-1));
export const headers = spec.token === undefined ? {} : { authorization: `Bearer ${spec.token}` };
export const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
export const event = (data) => print({ kind: "event", event: data.type, data });
// What a client of Server-Sent Events receives. The id of an event is its position.
export function events(source) {
  for (const type of ["snapshot", "update", "live", "rollover"]) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      const message = JSON.parse(data);
      if (lastEventId !== message.position) throw new Error(`${lastEventId} is not ${message.position}`);
      event(message);
    });
  }
}
// Short, so that a test waits for the server and not for a back-off.
export const again = (connect) => setTimeout(connect, 20);

export function refused(status) {
  print({ kind: "connect_error", status });
  process.exit();
}

process.stdin.on("end", () => process.exit()).resume();
