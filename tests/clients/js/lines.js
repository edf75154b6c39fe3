// What the followers here share: SPEC, the last argument, is JSON { url, token, ticket, ca } with the address of
// a feed. Everything that happens is printed as lines of JSON; the end of stdin ends the program.
export const spec = JSON.parse(process.argv.at(-1));
export const headers = spec.token === undefined ? {} : { authorization: `Bearer ${spec.token}` };
export const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
export const event = (data) => print({ kind: "event", event: data.type, data });
// Short, so that a test waits for the server and not for a back-off.
export const again = (connect) => setTimeout(connect, 20);

export function refused(status) {
  print({ kind: "connect_error", status });
  process.exit();
}

process.stdin.on("end", () => process.exit()).resume();
