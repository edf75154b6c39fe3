// The real binary on a real SQLite file, with the built page.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = new URL("../../", import.meta.url).pathname;
const binary = process.env.TALLYCAST ?? join(root, "target/debug/tallycast");
export const dist = join(root, "client-demo/dist");

export const ACCOUNT = "alice";
const ACCOUNTS = ["alice", "bob"];
const QUIET = { ...process.env, RUST_LOG: "warn" };

export class Server {
  #folder = mkdtempSync(join(tmpdir(), "tallycast-page-"));
  #listen = "127.0.0.1:0";
  #process;
  #events = 0;

  static async start() {
    const server = new Server();
    writeFileSync(join(server.#folder, "secret.txt"), randomBytes(32).toString("hex"));
    await server.restart();
    server.admin = server.#token("--sub", "tests", "--accounts", "*", "--scope", "watch record admin");
    server.token = server.#token("--sub", ACCOUNT, "--accounts", ACCOUNTS.join(), "--scope", "watch record");
    server.watchToken = server.#token("--sub", ACCOUNT);
    return server;
  }

  /** Starts on the same port, if it had one, and the same ledger. */
  async restart() {
    const args = ["serve", "--listen", this.#listen, "--admin-listen", "127.0.0.1:0", "--page", dist];
    const secrets = ["--ledger", `sqlite:${join(this.#folder, "ledger.db")}`, "--jwt-secret-file", join(this.#folder, "secret.txt")];
    this.#process = spawn(binary, [...args, ...secrets], { stdio: ["ignore", "pipe", "inherit"], env: QUIET });
    this.url = (await firstLine(this.#process, /^listening on/)).replace("listening on ", "");
    this.#listen = this.url.slice("http://".length);
  }

  async kill() {
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGINT");
      await once(this.#process, "exit");
    }
    rmSync(this.#folder, { recursive: true });
  }

  /** The page's address, as an operator would publish it. */
  link({ account = ACCOUNT, token = this.token, view = "consumption" } = {}) {
    return `${this.url}/#token=${token}&account=${account}&view=${view}`;
  }

  /** Records one event, with these fields. */
  async record(fields = {}) {
    this.#events += 1;
    const event = { id: `event-${this.#events}`, account: ACCOUNT, amount: "1.25", unit: "EUR", category: "food", ...fields };
    return this.#ask("POST", "/v1/events", event);
  }

  async snapshot(account = ACCOUNT) {
    return this.#ask("GET", `/v1/feeds/${account}`);
  }

  async profile(profile, account = ACCOUNT) {
    return this.#ask("PUT", `/v1/accounts/${account}`, profile);
  }

  async #ask(method, path, body) {
    const headers = { authorization: `Bearer ${this.admin}`, "content-type": "application/json" };
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  #token(...args) {
    const secret = ["--jwt-secret-file", join(this.#folder, "secret.txt"), "--ttl", "1h"];
    return execFileSync(binary, ["token", ...secret, ...args], { encoding: "utf8" }).trim();
  }
}

/** `tallycast demo` with the built page. */
export class Demo {
  #process;

  static async start() {
    const demo = new Demo();
    demo.#process = spawn(binary, ["demo", "--listen", "127.0.0.1:0", "--no-open", "--page", dist], { stdio: ["ignore", "pipe", "inherit"], env: QUIET });
    demo.link = (await firstLine(demo.#process, /#/)).trim();
    return demo;
  }

  async stop() {
    this.#process.kill("SIGINT");
    await once(this.#process, "exit");
  }
}

async function firstLine(child, wanted) {
  for await (const line of createInterface({ input: child.stdout })) {
    if (!wanted.test(line)) continue;
    child.stdout.resume(); // nobody reads the rest, and it may not fill up
    return line;
  }
  throw new Error("the server ended before it was ready");
}
