import { words } from "../words";
import type { Address } from "./address";
import { Card, recoveryText } from "./card";
import type { Lane } from "./lane";
import { Tally } from "./tally";
import type { Way } from "./ways";

/** How long a lane stays disconnected after its button was pressed. */
const CUT_MS = 5_000;

/** A lane on the screen: its card, and the reasons for which it is disconnected or paused. */
export class Panel {
  readonly way: Way;
  readonly tally: Tally;
  readonly card: Card;
  readonly #lane: Lane;
  readonly #tell: (text: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isUnseen = false;
  #isComingBack = false;

  /** `changed` and `tell` (for texts that screen readers read aloud) may be called at any time from then on. */
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

  /** Disconnects the lane for five seconds. */
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

  /** Closes a held connection while the page is hidden, and opens it again afterwards. */
  rest(isUnseen: boolean): void {
    if (!this.way.isHeld || isUnseen === this.#isUnseen) return;
    this.#isUnseen = isUnseen;
    if (!this.isCut) this.resume();
  }

  /** Reconnects when the network is back, because an older connection may be dead but look alive. */
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
