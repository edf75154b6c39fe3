import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { feedPath, type Api } from "../api";
import { written } from "../amount";
import { wallClock } from "../clock";
import type { History } from "../contract";
import { byId } from "../dom";
import { locale, words } from "../words";
import { Curve, MINUTES } from "./curve";
import type { Part, Shown } from "./shown";

const HEIGHT = 220;
/** How far back the page looks for the entries of today: 4,000 of them. */
const PAGES_MAX = 20;
const PAGE = 200;
/** An entry may be dated five minutes ahead of its recording. */
const AHEAD_MS = 5 * 60_000;

/** The day's sum over the day, drawn by uPlot. */
export function chart(account: string, api: Api): Part {
  const root = byId("chart");
  let curve: Curve | undefined;
  let plot: uPlot | undefined;
  let last: Shown | undefined;

  const draw = () => {
    if (!last || !curve) return;
    const { totals, screen } = last;
    const now = wallClock(Date.now(), screen.timeZone);
    const { minutes, sums } = curve.points(totals.day.amount, now.date === curve.date ? now.minute : MINUTES - 1);
    plot ??= plotIn(root, () => last?.totals.unit ?? "");
    plot.setData([minutes, sums]);
    const hour = (minute: number) => hourText(minute);
    root.setAttribute("aria-label", words().chart_of_day(written(totals.day.amount, totals.unit), hour(0), hour(now.minute)));
  };

  /** Reads today's entries from the newest back; the live ones go on meanwhile. */
  const backfill = async (into: Curve) => {
    let before = "";
    for (let page = 0; page < PAGES_MAX && curve === into; page++) {
      const { entries, next } = await api.get<History>(feedPath(account, `/entries?limit=${PAGE}${before}`));
      into.add(entries.toReversed());
      draw();
      const oldest = entries.at(-1);
      const today = oldest && wallClock(Date.parse(oldest.recorded_at) + AHEAD_MS, last?.screen.timeZone ?? "UTC").date >= into.date;
      if (!today || next === null) return;
      before = `&before=${next}`;
    }
  };

  const restyle = () => {
    plot?.destroy();
    plot = undefined;
    draw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  new ResizeObserver(() => plot?.setSize({ width: root.clientWidth, height: HEIGHT })).observe(root);
  new MutationObserver(restyle).observe(document.documentElement, { attributeFilter: ["lang"] });

  return (shown) => {
    last = shown;
    const { totals, screen, news } = shown;
    if (!curve?.isOf(totals, screen.timeZone) || !curve.fits(news)) {
      curve = new Curve(totals, screen.timeZone);
      backfill(curve).catch(() => {}); // the figures are right without it, and the next reload draws it
    }
    curve.add(news);
    draw();
  };
}

const hourText = (minute: number): string =>
  new Intl.DateTimeFormat(locale(), { timeZone: "UTC", hour: "2-digit", minute: "2-digit" }).format(minute * 60_000);

function plotIn(root: HTMLElement, unit: () => string): uPlot {
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("--quiet"), font, ticks: { show: false } };
  const narrow = new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 });
  const options: uPlot.Options = {
    width: root.clientWidth,
    height: HEIGHT,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
    scales: { x: { time: false, range: [0, MINUTES] }, y: { range: (_, __, most) => [0, Math.max(most * 1.08, 1)] } },
    axes: [
      { ...axis, grid: { show: false }, splits: () => [0, 360, 720, 1080, 1440], values: (_, at) => at.map((minute) => hourText(minute % MINUTES)) },
      { ...axis, size: 48, space: 48, grid: { stroke: colour("--line"), width: 1 }, values: (_, at) => at.map((sum) => narrow.format(sum)) },
    ],
    series: [
      {},
      {
        stroke: colour("--accent"),
        width: 2.5,
        points: { show: false },
        paths: uPlot.paths.stepped?.({ align: 1 }),
        fill: (self) => {
          const gradient = self.ctx.createLinearGradient(0, self.bbox.top, 0, self.bbox.top + self.bbox.height);
          gradient.addColorStop(0, colour("--accent-soft"));
          gradient.addColorStop(1, "transparent");
          return gradient;
        },
      },
    ],
    hooks: {
      setCursor: [
        (self) => {
          const { idx } = self.cursor;
          const at = idx == null ? undefined : self.data[0][idx];
          const sum = idx == null ? undefined : self.data[1]?.[idx];
          root.dataset.hint = at === undefined || sum == null ? "" : `${hourText(at % MINUTES)} · ${written(sum.toFixed(2), unit())}`;
        },
      ],
    },
  };
  return new uPlot(options, [[], []], root);
}

