import type { Account } from "./token";
import { accountsOf } from "./token";

export type View = "consumption" | "lanes";

/** The contents of the URL fragment. It contains a token, and browsers never send the fragment to a server. */
export interface Link {
  token: string;
  account: Account;
  view: View;
  /** Extra ports of the same host for connections that stay open, because a browser opens only six per port. */
  lanes: number[];
}

/** The link, or undefined if it has no token or no account. */
export function readLink(): Link | undefined {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token");
  const account = fields.get("account") ?? (token && accountsOf(token)[0]);
  if (!token || !account) return undefined;
  const lanes = (fields.get("lanes") ?? "").split(",").filter(Boolean).map(Number);
  return { token, account, lanes, view: fields.get("view") === "lanes" ? "lanes" : "consumption" };
}

/** Updates the URL, so that a reload or a bookmark restores this view. */
export function keepInLink(change: { account?: string; view?: View }): void {
  const fields = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of Object.entries(change)) fields.set(name, value);
  history.replaceState(null, "", `#${fields}`);
}
