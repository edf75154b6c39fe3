import type { Entry, Totals } from "../contract";
import type { Screen } from "../feed";

/** What the parts of the view draw: the screen, and of its totals the pair that is chosen. */
export interface Shown {
  screen: Screen;
  totals: Totals;
  /** The entries that came with this very message: they slide in. */
  news: readonly Entry[];
}

export type Part = (shown: Shown) => void;
