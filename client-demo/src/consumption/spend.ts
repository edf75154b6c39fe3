import type { Api } from "../api";
import { written } from "../amount";
import { byId, make } from "../dom";
import { words } from "../words";

const RETRY_MS = 1000;
const TRIES_MAX = 5;

interface Thing {
  name: "coffee" | "noodles";
  sign: string;
  amount: string;
}

const THINGS: readonly Thing[] = [
  { name: "coffee", sign: "\u2615\ufe0f", amount: "3.20" },
  { name: "noodles", sign: "\u{1f35c}", amount: "8.50" },
];

/** Buttons that record a purchase. The demo's token may record; an app's token should not. */
export function spend(account: string, unit: string, api: Api, root = byId("spend")): void {
  const said = make("span", { role: "status", class: "quiet" });
  root.hidden = false;
  root.replaceChildren(...THINGS.map((thing) => button(thing, unit, () => buy(thing))), said);

  // The id is created once per purchase: the server counts a repeated id once, so retrying is always safe.
  async function buy({ name, amount, sign }: Thing): Promise<void> {
    const event = { id: crypto.randomUUID(), source: "demo-page", account, amount, unit, category: "treats", description: `${sign} ${words()[name]}` };
    for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
      try {
        await api.post("v1/events", event);
        said.textContent = "";
        return;
      } catch {
        said.textContent = words().not_bought;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
      }
    }
  }
}

function button({ name, sign, amount }: Thing, unit: string, act: () => void): HTMLElement {
  const icon = make("span", { "aria-hidden": "true" }, sign);
  const verb = make("span", { class: "hidden" }, words().buy);
  const made = make("button", { type: "button", "data-thing": name }, icon, verb, `${words()[name]} ${written(amount, unit)}`);
  made.addEventListener("click", act);
  return made;
}
