import { feedPath } from "../api";
import type { Link } from "../link";
import { ENTRIES_MAX, type Tally } from "./tally";
import type { Traffic } from "./traffic";

/** A refusal by the server. The message is the protocol's code. */
export class Refusal extends Error {}

/** Where a lane connects, which account it follows, and the token for it. */
export class Address {
  readonly token: string;
  readonly account: string;
  readonly traffic: Traffic;
  readonly #base: URL;

  /** The server of the page, on another port if one is given. */
  constructor({ token, account }: Link, traffic: Traffic, port?: number) {
    this.token = token;
    this.account = account;
    this.traffic = traffic;
    this.#base = new URL(".", location.href);
    if (port) this.#base.port = String(port);
  }

  get origin(): string {
    return this.#base.origin;
  }

  /** The URL of a way to follow the feed, starting at the tally's position. */
  feed(way: string, { position }: Tally, query: Record<string, string> = {}): URL {
    const url = new URL(feedPath(this.account, way), this.#base);
    const from: Record<string, string> = position ? { after: position } : { recent: String(ENTRIES_MAX) };
    url.search = String(new URLSearchParams({ ...query, ...from }));
    return url;
  }

  /** A ticket for connections that cannot send the token; it is valid for this account and five minutes. */
  async ticket(tally: Tally, signal: AbortSignal): Promise<string> {
    const body = JSON.stringify({ account: this.account });
    const request = { method: "POST", body, headers: { "content-type": "application/json" }, signal };
    const answer = await this.ask(new URL("v1/tickets", this.#base), tally, request);
    return (await answer.json()).ticket;
  }

  async ask(url: URL, tally: Tally, request: RequestInit): Promise<Response> {
    this.traffic.expect(url, tally);
    const answer = await fetch(url, { ...request, headers: { ...request.headers, authorization: `Bearer ${this.token}` } });
    if (answer.ok) return answer;
    const problem: { code?: string } = await answer.json().catch(() => ({}));
    throw new Refusal(problem.code ?? String(answer.status));
  }
}

const encoder = new TextEncoder();

export const bytesOf = (text: string): number => encoder.encode(text).length;
