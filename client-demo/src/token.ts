export type Account = string;

interface Claims {
  sub?: string;
  scope?: string;
  accounts?: string[] | "*";
}

/** The token's claims, unverified: only the server checks them. */
function claimsOf(token: string): Claims {
  try {
    const base64 = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The accounts that the token names; none for a token for all accounts. */
export function accountsOf(token: string): Account[] {
  const { sub, accounts } = claimsOf(token);
  if (accounts === "*") return [];
  return accounts ?? (sub ? [sub] : []);
}

/** Whether the token may record: the demo's may, an app's should not. */
export const mayRecord = (token: string): boolean => (claimsOf(token).scope ?? "").split(" ").includes("record");
