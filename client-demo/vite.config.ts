import { defineConfig } from "vite";

/** `npm run dev` serves the unbuilt sources, and forwards requests to a running server. */
const server = process.env.TALLYCAST_URL ?? "http://127.0.0.1:3000";

export default defineConfig({
  base: "./",
  server: { proxy: { "/v1": { target: server, ws: true }, "/socket.io": { target: server, ws: true } } },
  build: {
    target: "es2022",
    // The page's policy forbids inline scripts, and the preload polyfill would be one.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
});
