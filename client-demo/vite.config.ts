import { defineConfig } from "vite";

/** `npm run dev` shows the sources as they are, over a server that runs already. */
const server = process.env.TALLYCAST_URL ?? "http://127.0.0.1:3000";

export default defineConfig({
  base: "./",
  server: { proxy: { "/v1": { target: server, ws: true }, "/socket.io": { target: server, ws: true } } },
  build: {
    target: "es2022",
    // The page's policy allows no script in the document, and a preload polyfill would be one.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
});
