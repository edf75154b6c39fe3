// Prints the TypeScript of docs/contract.schema.json: `make types`.
import { readFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const bannerComment = "// What goes over Tallycast's wires. Made of the server's own types by `make types`: do not edit.";

// What JSON Schema cannot say: who emits what. The messages are named by their own `type`.
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

/** The schema as the compiler understands it best. */
function prepare(_, node) {
  if (typeof node?.description !== "string") return node;
  const { $ref, properties, ...rest } = node;
  // Beside a reference, a description would make a second type of it.
  if ($ref) return { ...rest, allOf: [{ $ref }] };
  // What is always there comes first, in the order of the wire.
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
