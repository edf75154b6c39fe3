export type Account = string;

interface Claims {
  sub?: string;
  scope?: string;
  accounts?: string[] | "*";
}

/** What the token says about itself. Nothing is proved by that: the server checks it. */
function claimsOf(token: string): Claims {
  try {
    const base64 = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The accounts that it names; none of a token for all accounts. */
export function accountsOf(token: string): Account[] {
  const { sub, accounts } = claimsOf(token);
  if (accounts === "*") return [];
  return accounts ?? (sub ? [sub] : []);
}

/** Whether it may record: the demo's may, an app's should not. */
export const mayRecord = (token: string): boolean => (claimsOf(token).scope ?? "").split(" ").includes("record");
