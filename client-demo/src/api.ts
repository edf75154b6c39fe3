/** Sends requests to the server that serves the page. Throws the status of any response that is not a success. */
export class Api {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  async get<T>(path: string): Promise<T> {
    return this.#ask(path, {});
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  }

  async #ask<T>(path: string, request: RequestInit): Promise<T> {
    const headers = { ...request.headers, authorization: `Bearer ${this.#token}` };
    const answer = await fetch(path, { ...request, headers });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer.json();
  }
}

export const accountPath = (account: string, rest: string): string => `v1/accounts/${encodeURIComponent(account)}${rest}`;
export const feedPath = (account: string, rest: string): string => `v1/feeds/${encodeURIComponent(account)}${rest}`;
