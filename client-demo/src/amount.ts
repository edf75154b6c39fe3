import { locale } from "./words";

/** Nine fraction digits, as the ledger keeps them: sums and parts of amounts stay exact. */
const SCALE = 9;
const ONE = 10n ** BigInt(SCALE);

/** A decimal in text as a whole number of billionths. */
export function exact(amount: string): bigint {
  const [whole = "0", fraction = ""] = amount.replace("-", "").split(".");
  const magnitude = BigInt(whole) * ONE + BigInt(fraction.padEnd(SCALE, "0"));
  return amount.startsWith("-") ? -magnitude : magnitude;
}

/** Billionths as a decimal in text, with that many fraction digits at least. */
export function decimal(exactly: bigint, digits = 0): string {
  const text = String(exactly < 0n ? -exactly : exactly).padStart(SCALE + 1, "0");
  const fraction = text.slice(-SCALE).replace(/0+$/, "").padEnd(digits, "0");
  return `${exactly < 0n ? "-" : ""}${text.slice(0, -SCALE)}${fraction && `.${fraction}`}`;
}

/** For drawing only: a picture may be off by a rounding. */
export const drawn = (amount: string): number => Number(amount);

export const digitsOf = (amount: string): number => amount.split(".")[1]?.length ?? 0;

const currencies = new Set(Intl.supportedValuesOf("currency"));
const formats = new Map<string, Intl.NumberFormat>();

function formatOf(unit: string, digits: number): Intl.NumberFormat {
  const key = `${locale()} ${unit} ${digits}`;
  let format = formats.get(key);
  if (!format) {
    const plain: Intl.NumberFormatOptions = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const money = { style: "currency", currency: unit, currencyDisplay: "narrowSymbol" } as const;
    format = new Intl.NumberFormat(locale(), currencies.has(unit) ? { ...plain, ...money } : plain);
    formats.set(key, format);
  }
  return format;
}

/** A decimal with its unit, as people write it: `$1,234.50`, `12.5 kWh`. All its digits are kept. */
export function written(amount: string, unit: string): string {
  const isMoney = currencies.has(unit);
  const least = isMoney ? new Intl.NumberFormat("en", { style: "currency", currency: unit }).resolvedOptions() : undefined;
  const digits = Math.max(digitsOf(amount), least?.minimumFractionDigits ?? 0);
  // A text is formatted exactly; the type of it only allows literals.
  const number = formatOf(unit, digits).format(amount as `${number}`);
  return isMoney ? number : `${number}\u202f${unit}`;
}

/** What part of the whole, from 0 up; for bars and percentages. */
export function part(amount: string, whole: string): number {
  const all = exact(whole);
  return all === 0n ? 0 : Number((exact(amount) * 10_000n) / all) / 10_000;
}

export const percent = (fraction: number): string =>
  new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(fraction);
