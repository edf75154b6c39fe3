import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { feedPath, type Api } from "../api";
import { drawn, written } from "../amount";
import { wallClock } from "../clock";
import type { History } from "../contract";
import { byId } from "../dom";
import { locale, words } from "../words";
import { Curve, MINUTES } from "./curve";
import type { Part, Shown } from "./shown";

const HEIGHT = 280;
/** How far back the page looks for today's entries: 4,000 entries. */
const PAGES_MAX = 20;
const PAGE = 200;
/** An entry's time may be up to five minutes ahead of its recording. */
const AHEAD_MS = 5 * 60_000;
/** The budget line is drawn once it is at most this many times the day's total. */
const LIMIT_IN_SIGHT = 1.6;

/** The day's running total, drawn by uPlot. */
export function chart(account: string, api: Api, closed: AbortSignal): Part {
  const root = byId("chart");
  let curve: Curve | undefined;
  let plot: uPlot | undefined;
  let last: Shown | undefined;

  const labels = () => ({ unit: last?.totals.unit ?? "", limit: last && dayLimit(last) });

  const draw = () => {
    if (!last || !curve || closed.aborted) return;
    const { totals, screen } = last;
    const now = wallClock(Date.now(), screen.timeZone);
    const { minutes, sums } = curve.points(totals.day.amount, now.date === curve.date ? now.minute : MINUTES - 1);
    plot ??= plotIn(root, labels);
    plot.setData([minutes, sums]);
    root.setAttribute("aria-label", words().chart_of_day(written(totals.day.amount, totals.unit), hourText(0), hourText(now.minute)));
  };

  /** Reads today's entries, newest first, while live entries keep arriving. */
  const backfill = async (into: Curve) => {
    let before = "";
    for (let page = 0; page < PAGES_MAX && curve === into && !closed.aborted; page++) {
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
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle, { signal: closed });
  const resizing = new ResizeObserver(() => plot?.setSize({ width: root.clientWidth, height: HEIGHT }));
  resizing.observe(root);
  const speaking = new MutationObserver(restyle);
  speaking.observe(document.documentElement, { attributeFilter: ["lang"] });
  closed.addEventListener("abort", () => {
    for (const observer of [resizing, speaking]) observer.disconnect();
    plot?.destroy();
  });

  return (shown) => {
    last = shown;
    const { totals, screen, news } = shown;
    if (!curve?.isOf(totals, screen.timeZone) || !curve.fits(news)) {
      curve = new Curve(totals, screen.timeZone);
      backfill(curve).catch(() => {}); // the figures are right without the chart, and the next reload draws it
    }
    curve.add(news);
    draw();
  };
}

function dayLimit({ screen, totals: { meter, unit } }: Shown): string | undefined {
  return screen.budgets.find((budget) => budget.window === "day" && budget.meter === meter && budget.unit === unit)?.limit;
}

const axisText = (minute: number): string =>
  new Intl.DateTimeFormat(locale(), { timeZone: "UTC", hour: "numeric" }).format(minute * 60_000);

const hourText = (minute: number): string =>
  new Intl.DateTimeFormat(locale(), { timeZone: "UTC", hour: "numeric", minute: "2-digit" }).format(minute * 60_000);

/** What the plot shows besides the curve. */
interface Labels {
  unit: string;
  /** The day's budget, if there is one. */
  limit?: string | undefined;
}

function plotIn(root: HTMLElement, labels: () => Labels): uPlot {
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("--quiet"), font, ticks: { show: false } };
  const compact = new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 });
  const options: uPlot.Options = {
    width: root.clientWidth,
    height: HEIGHT,
    padding: [18, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, range: [0, MINUTES] }, y: { range: (_, __, most) => [0, top(most, labels().limit)] } },
    axes: [
      { ...axis, size: 30, grid: { show: false }, splits: () => [0, 360, 720, 1080, 1440], values: (_, at) => at.map((minute) => axisText(minute % MINUTES)) },
      { ...axis, size: 44, gap: 6, space: 48, grid: { stroke: colour("--line"), width: 1 }, values: (_, at) => at.map((sum) => compact.format(sum)) },
    ],
    series: [
      {},
      {
        stroke: colour("--accent"),
        width: 2.5,
        points: { show: false },
        paths: uPlot.paths.stepped?.({ align: 1 }),
        fill: ({ ctx, bbox }) => {
          const gradient = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
          gradient.addColorStop(0, colour("--accent-soft"));
          gradient.addColorStop(1, colour("--accent-none"));
          return gradient;
        },
      },
    ],
    hooks: {
      draw: [
        (self) => {
          drawNow(self, colour("--accent"));
          const { limit, unit } = labels();
          if (limit) drawLimit(self, limit, words().budget_line(written(limit, unit)), colour("--warn"), style.fontFamily);
        },
      ],
      setCursor: [
        ({ cursor: { idx }, data }) => {
          const minute = idx == null ? undefined : data[0][idx];
          const sum = idx == null ? undefined : data[1]?.[idx];
          root.dataset.hint = minute === undefined || sum == null ? "" : `${hourText(minute % MINUTES)} · ${written(sum.toFixed(2), labels().unit)}`;
        },
      ],
    },
  };
  return new uPlot(options, [[], []], root);
}

/** The top of the y axis: a little above the curve, and above the budget unless that is far away. */
function top(most: number, limit?: string): number {
  const budget = limit ? drawn(limit) : 0;
  return Math.max(budget <= most * LIMIT_IN_SIGHT ? budget : 0, most, 1) * 1.06;
}

/** Draws a dot at the current time. */
function drawNow({ ctx, data, valToPos }: uPlot, colour: string): void {
  const minute = data[0].at(-1);
  const sum = data[1]?.at(-1);
  if (minute === undefined || sum == null) return;
  ctx.beginPath();
  ctx.arc(valToPos(minute, "x", true), valToPos(sum, "y", true), 5 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.fill();
}

function drawLimit({ ctx, bbox, scales, valToPos }: uPlot, limit: string, text: string, colour: string, family: string): void {
  if (drawn(limit) > (scales.y?.max ?? 0)) return;
  const y = valToPos(drawn(limit), "y", true);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 5 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${12 * devicePixelRatio}px ${family}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(text, bbox.left + bbox.width, y - 4 * devicePixelRatio);
  ctx.restore();
}
