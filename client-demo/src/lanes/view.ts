import type { Link } from "../link";

export function openLanes(_link: Link): { redraw: () => void; close: () => void } {
  return { redraw() {}, close() {} };
}
