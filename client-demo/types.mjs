// Makes src/contract.ts of docs/contract.schema.json: `make types`.
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const banner = "// What goes over Tallycast's wires. Made by `make types` of the server's own types: do not edit.";

// What JSON Schema cannot say: who emits what.
const events = `
/** What the server emits on /feed, by the message's own \`type\`. */
export type ServerToClientEvents = {
  [M in FeedMessage | Closing | AuthExpiring as M["type"]]: (message: M) => void;
};

/** What a client may ask on /feed. */
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack: (answer: SubscribeAnswer | Refused) => void) => void;
  unsubscribe: (request: UnsubscribeRequest, ack: (answer: UnsubscribeAnswer | Refused) => void) => void;
  history: (request: HistoryRequest, ack: (answer: HistoryAnswer | Refused) => void) => void;
  authenticate: (request: AuthenticateRequest, ack: (answer: AuthenticateAnswer | Refused) => void) => void;
}
`;

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");
const schema = JSON.parse(await read("../docs/contract.schema.json"), (_, node) => {
  if (node?.$ref === undefined || node.description === undefined) return node;
  // A description beside a reference would make a second, nameless type of it.
  const { $ref, ...rest } = node;
  return { ...rest, allOf: [{ $ref }] };
});
const types = await compile({ ...schema, title: undefined }, "Contract", {
  additionalProperties: false,
  bannerComment: banner,
  ignoreMinAndMaxItems: true,
  style: { printWidth: 140 },
  unreachableDefinitions: true,
});
await writeFile(new URL("src/contract.ts", import.meta.url), types + events);
