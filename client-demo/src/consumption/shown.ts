import type { Entry, Totals } from "../contract";
import type { Screen } from "../feed";

/** What the parts of the view draw: the screen, and the totals of the selected meter and unit. */
export interface Shown {
  screen: Screen;
  totals: Totals;
  /** The entries of the current message, which slide in. */
  news: readonly Entry[];
}

export type Part = (shown: Shown) => void;
