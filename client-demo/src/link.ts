import type { Account } from "./token";
import { accountsOf } from "./token";

export type View = "consumption" | "lanes";

/** What the address says. It stands in the fragment, which browsers send to nobody: there is a token in it. */
export interface Link {
  token: string;
  account: Account;
  view: View;
  /** Ports of the same host for connections that stay open: a browser opens six to one port. */
  lanes: number[];
}

/** The link, or nothing where it has no token or no account. */
export function readLink(): Link | undefined {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token");
  const account = fields.get("account") ?? (token && accountsOf(token)[0]);
  if (!token || !account) return undefined;
  const lanes = (fields.get("lanes") ?? "").split(",").filter(Boolean).map(Number);
  return { token, account, lanes, view: fields.get("view") === "lanes" ? "lanes" : "consumption" };
}

/** Changes the address, so that a reload or a bookmark comes back here. */
export function keepInLink(change: { account?: string; view?: View }): void {
  const fields = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of Object.entries(change)) fields.set(name, value);
  history.replaceState(null, "", `#${fields}`);
}
