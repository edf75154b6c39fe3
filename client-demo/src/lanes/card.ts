import { percent, written } from "../amount";
import { make } from "../dom";
import { words } from "../words";
import { counted, milliseconds, sized } from "./numbers";
import type { Landed, Tally } from "./tally";
import type { WayName } from "./ways";

/** The delay between entries that arrive together and slide in one after the other. */
const STAGGER_MS = 60;

/** A lane's part of the page. */
export class Card {
  readonly element: HTMLElement;
  readonly #tally: Tally;
  readonly #way: WayName;
  readonly #title = make("h2");
  readonly #about = make("p", { class: "quiet about" });
  readonly #state = make("p", { class: "status" });
  readonly #amount = make("p", { class: "amount" });
  readonly #offset = make("p", { class: "quiet" });
  readonly #note = make("p", { class: "note quiet" });
  readonly #entries = make("ol", { class: "entries" });
  readonly #delays = make("dd");
  readonly #requests = make("dd");
  readonly #bytes = make("dd");
  readonly #terms = [make("dt"), make("dt"), make("dt")] as const;
  readonly #cut = make("button", { type: "button", "data-action": "cut" });
  #lines = new Map<string, HTMLElement>();

  constructor(way: WayName, tally: Tally, toggle: () => void) {
    this.#way = way;
    this.#tally = tally;
    this.#title.id = `lane-${way}`;
    this.#cut.addEventListener("click", toggle);
    const [delay, requests, bytes] = this.#terms;
    this.element = make(
      "section",
      { class: "card lane", "data-lane": way, "aria-labelledby": this.#title.id },
      this.#title,
      this.#about,
      make("div", { class: "line" }, this.#state, this.#cut),
      this.#amount,
      this.#offset,
      this.#note,
      this.#entries,
      make("dl", {}, make("div", {}, delay, this.#delays), make("div", {}, requests, this.#requests), make("div", {}, bytes, this.#bytes)),
    );
    this.translate();
  }

  /** Sets the texts that depend only on the language. */
  translate(): void {
    const { name, about } = words().lanes_ways[this.#way];
    this.#title.textContent = name;
    this.#about.textContent = about;
    const [delay, requests, bytes] = this.#terms;
    delay.textContent = words().lanes_delay;
    requests.textContent = words().lanes_requests;
    bytes.textContent = words().lanes_bytes;
    this.#lines.clear();
  }

  draw(): void {
    const { state, offset, amount, unit, gap, refusal, cost, lastDelayMs, medianDelayMs } = this.#tally;
    Object.assign(this.element.dataset, { offset, state, amount });
    this.#state.dataset.status = state;
    this.#state.textContent = stateText(this.#tally);
    this.#amount.textContent = unit ? written(amount, unit) : "–";
    this.#offset.textContent = words().lanes_entry(counted(offset));
    this.#note.textContent = noteText(this.#tally);
    this.#note.classList.toggle("bad", gap !== "" || refusal !== "");
    this.#delays.textContent = lastDelayMs === undefined || medianDelayMs === undefined ? "–" : words().lanes_delays(milliseconds(lastDelayMs), milliseconds(medianDelayMs));
    this.#requests.textContent = counted(cost.requests);
    this.#bytes.textContent = sized(cost.bytes);
    const label = state === "cut" ? words().lanes_resume : words().lanes_cut_it;
    this.#cut.textContent = label;
    this.#cut.setAttribute("aria-label", `${label}: ${this.#title.textContent}`);
    this.#drawEntries();
  }

  #drawEntries(): void {
    const next = new Map<string, HTMLElement>();
    let fresh = 0;
    for (const landed of this.#tally.landed) {
      const key = `${landed.how} ${landed.entry.offset} ${landed.entry.recorded_at}`;
      const line = this.#lines.get(key) ?? lineOf(landed);
      if (!this.#lines.has(key) && landed.how !== "snapshot") line.style.animationDelay = `${STAGGER_MS * fresh++}ms`;
      next.set(key, line);
    }
    this.#lines = next;
    const lines = [...next.values()];
    // Only elements that moved are inserted again, because reinserting an element restarts its animation.
    for (const child of [...this.#entries.children]) if (!lines.includes(child as HTMLElement)) child.remove();
    for (const [index, line] of lines.entries()) {
      const there = this.#entries.children[index];
      if (there !== line) this.#entries.insertBefore(line, there ?? null);
    }
  }
}

function lineOf({ entry, how, delayMs }: Landed): HTMLElement {
  const isAlert = entry.kind === "alert";
  const what = isAlert ? words().alert_kind : (entry.description ?? entry.category ?? entry.id);
  const value = isAlert ? percent(entry.threshold / 100) : written(entry.amount, entry.unit);
  const came = { snapshot: "", "caught-up": words().lanes_missed, live: milliseconds(delayMs) }[how];
  return make(
    "li",
    { class: `${entry.kind} ${how}`, "data-offset": String(entry.offset) },
    make("span", { class: "what", title: what }, what),
    make("span", { class: "value" }, value),
    make("span", { class: "came quiet" }, came),
  );
}

function stateText({ state, retryMs }: Tally): string {
  const { connecting, catching_up, live, lanes_cut, lanes_resting, lanes_retrying } = words();
  const retrying = lanes_retrying(String(retryMs / 1_000));
  return { connecting, "catching-up": catching_up, live, cut: lanes_cut, resting: lanes_resting, retrying }[state];
}

function noteText(tally: Tally): string {
  const { gap, refusal } = tally;
  if (gap) return words().lanes_gap(gap);
  return refusal ? words().lanes_refused(refusal) : recoveryText(tally);
}

export function recoveryText({ recovery }: Tally): string {
  if (!recovery) return "";
  if ("snapshot" in recovery) return words().lanes_snapshot(recovery.snapshot);
  return recovery.entries === 0 ? words().lanes_missed_nothing : words().lanes_caught_up(counted(recovery.entries), recovery.entries);
}
