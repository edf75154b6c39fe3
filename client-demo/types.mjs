// Prints docs/contract.schema.json as TypeScript, for `make types`.
import { readFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const bannerComment = "// What goes over Tallycast's wires. Made of the server's own types by `make types`: do not edit.";

// JSON Schema cannot express which side emits which event. Feed messages are emitted under their `type`.
const events = `
/** What the server emits on \`/feed\`. */
export type ServerToClientEvents = {
  [M in FeedMessage | Closing | AuthExpiring as M["type"]]: (message: M) => void;
};

/** What a client may ask on \`/feed\`. */
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack: (answer: SubscribeAnswer | Refused) => void) => void;
  unsubscribe: (request: UnsubscribeRequest, ack: (answer: UnsubscribeAnswer | Refused) => void) => void;
  history: (request: HistoryRequest, ack: (answer: HistoryAnswer | Refused) => void) => void;
  authenticate: (request: AuthenticateRequest, ack: (answer: AuthenticateAnswer | Refused) => void) => void;
}
`;

/** Rewrites a schema node so that the compiler generates readable types. */
function prepare(_, node) {
  if (typeof node?.description !== "string") return node;
  const { $ref, properties, ...rest } = node;
  // With a description beside a `$ref`, the compiler would generate a second type.
  if ($ref) return { ...rest, allOf: [{ $ref }] };
  // Required fields come first, in the order in which they are sent.
  if (properties) return { ...rest, properties: { ...pick(properties, node.required ?? []), ...properties } };
  return Object.keys(rest).length === 1 ? { ...rest, tsType: "unknown" } : node;
}

const pick = (object, names) => Object.fromEntries(names.map((name) => [name, object[name]]));

const { $defs } = JSON.parse(await readFile(new URL("../docs/contract.schema.json", import.meta.url), "utf8"), prepare);
const root = { $defs, anyOf: Object.keys($defs).map((name) => ({ $ref: `#/$defs/${name}` })) };
const types = await compile(root, "Contract", { additionalProperties: false, bannerComment, style: { printWidth: 140 } });
const readable = types
  .replace(/export type Contract =[^;]*;\n/, "")
  .replace(/\/\*\*\n *\* ([^\n]*)\n *\*\//g, "/** $1 */")
  .replace(/^(}|export type .*;)\n+/gm, "$1\n\n");
process.stdout.write(readable.trimEnd() + "\n" + events);
