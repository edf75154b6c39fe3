import "./style/base.css";
import "./style/consumption.css";
import "./style/lanes.css";
import { openConsumption } from "./consumption/view";
import { byId, make } from "./dom";
import { openLanes } from "./lanes/view";
import { keepInLink, readLink, type Link, type View } from "./link";
import { accountsOf } from "./token";
import { currentLanguage, speak, translate, words, type Language } from "./words";

const OPEN = { consumption: openConsumption, lanes: openLanes };

let link = readLink();
let opened: { redraw: () => void; close: () => void } | undefined;

function show(next: Link): void {
  opened?.close();
  link = next;
  keepInLink(next);
  for (const view of Object.keys(OPEN) as View[]) {
    byId(view).hidden = view !== next.view;
    document.querySelector(`[data-view="${view}"]`)?.setAttribute("aria-current", view === next.view ? "page" : "false");
  }
  opened = OPEN[next.view](next);
}

function offerAccounts({ token, account }: Link): void {
  const names = accountsOf(token);
  const select = byId<HTMLSelectElement>("account");
  const all = names.includes(account) ? names : [account, ...names];
  select.replaceChildren(...all.map((name) => make("option", { value: name }, name)));
  select.value = account;
  select.addEventListener("change", () => link && show({ ...link, account: select.value }));
}

function offerLanguages(): void {
  const select = byId<HTMLSelectElement>("language");
  select.value = currentLanguage();
  select.addEventListener("change", () => {
    speak(select.value as Language);
    opened?.redraw();
  });
}

translate();
offerLanguages();
for (const button of document.querySelectorAll<HTMLElement>("[data-view]")) {
  button.addEventListener("click", () => link && show({ ...link, view: button.dataset.view as View }));
}
if (link) {
  offerAccounts(link);
  show(link);
} else {
  byId("notice").hidden = false;
  byId("notice").textContent = words().open_link;
}
// The fragment holds the link, so jumping within the page must not change it.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
// Opening another link in the same window brings another token.
addEventListener("hashchange", () => location.reload());
