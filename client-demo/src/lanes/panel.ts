import { words } from "../words";
import type { Address } from "./address";
import { Card, recoveryText } from "./card";
import type { Lane } from "./lane";
import { Tally } from "./tally";
import type { Way } from "./ways";

/** A lane that was cut comes back by itself. */
const CUT_MS = 5_000;

/** A lane on the screen: its card, and who holds it back. */
export class Panel {
  readonly way: Way;
  readonly tally: Tally;
  readonly card: Card;
  readonly #lane: Lane;
  readonly #tell: (text: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isUnseen = false;
  #isComingBack = false;

  /** `changed` and `tell` (what is worth reading aloud) may be called at any time from then on. */
  constructor(way: Way, address: Address, changed: () => void, tell: (text: string) => void) {
    this.way = way;
    this.#tell = tell;
    this.tally = new Tally(() => {
      this.#tellReturn();
      changed();
    });
    this.card = new Card(way.name, this.tally, () => (this.isCut ? this.resume() : this.cut()));
    this.#lane = way.open(this.tally, address);
  }

  get isCut(): boolean {
    return this.tally.state === "cut";
  }

  /** Cuts the lane, for five seconds. */
  cut(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.resume(), CUT_MS);
    this.#isComingBack = true;
    this.#lane.cut();
    this.#tell(words().lanes_told(this.#name, words().lanes_cut));
  }

  resume(): void {
    clearTimeout(this.#timer);
    if (this.#isUnseen) this.#lane.cut("resting");
    else this.#lane.resume();
  }

  /** Lets go of a held connection while nobody looks, or takes it up again. */
  rest(isUnseen: boolean): void {
    if (!this.way.isHeld || isUnseen === this.#isUnseen) return;
    this.#isUnseen = isUnseen;
    if (!this.isCut) this.resume();
  }

  /** The network is back: what was open before may be dead without knowing it. */
  renew(): void {
    if (this.tally.state !== "cut" && this.tally.state !== "resting") this.#lane.resume();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#lane.close();
  }

  get #name(): string {
    return words().lanes_ways[this.way.name].name;
  }

  #tellReturn(): void {
    if (!this.#isComingBack || this.tally.state !== "live") return;
    this.#isComingBack = false;
    this.#tell(words().lanes_told(this.#name, recoveryText(this.tally)));
  }
}
