// Puts the page and the stock Socket.IO client, as npm delivers it, into dist/.
import { cp, mkdir, rm } from "node:fs/promises";

const dist = new URL("dist/", import.meta.url);
const client = new URL("node_modules/socket.io-client/dist/socket.io.esm.min.js", import.meta.url);

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
await cp(new URL("src/", import.meta.url), dist, { recursive: true });
await cp(client, new URL("socket.io.js", dist));
