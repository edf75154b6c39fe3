import { locale } from "./words";

/** Times are shown in the account's time zone, not the viewer's, because the account's days are too. */
export function timeOfDay(instant: string | number | Date, timeZone: string): string {
  return new Intl.DateTimeFormat(locale(), { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(instant));
}

/** The date (`2026-11-22`) and the minute of the day in a time zone. */
export function wallClock(instant: string | number | Date, timeZone: string): { date: string; minute: number } {
  const fields = { timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  const parts = new Intl.DateTimeFormat("en", fields).formatToParts(new Date(instant));
  const part = (type: string) => parts.find((found) => found.type === type)?.value ?? "0";
  return {
    date: `${part("year")}-${part("month")}-${part("day")}`,
    minute: Number(part("hour")) * 60 + Number(part("minute")),
  };
}

/** For example `2 seconds ago`; undefined within the last second. */
export function ago(since: number, now = Date.now()): string | undefined {
  const seconds = Math.round((now - since) / 1000);
  if (seconds < 1) return undefined;
  const format = new Intl.RelativeTimeFormat(locale(), { style: "short" });
  if (seconds < 60) return format.format(-seconds, "second");
  if (seconds < 3600) return format.format(-Math.floor(seconds / 60), "minute");
  return format.format(-Math.floor(seconds / 3600), "hour");
}
