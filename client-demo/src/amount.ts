import { locale } from "./words";

/** Nine fraction digits, like in the ledger: sums and fractions of amounts stay exact. */
const SCALE = 9;
const ONE = 10n ** BigInt(SCALE);

/** Parses a decimal string into a whole number of billionths. */
export function exact(amount: string): bigint {
  const [whole = "0", fraction = ""] = amount.replace("-", "").split(".");
  const magnitude = BigInt(whole) * ONE + BigInt(fraction.padEnd(SCALE, "0"));
  return amount.startsWith("-") ? -magnitude : magnitude;
}

/** Formats billionths as a decimal string with at least `digits` fraction digits. */
export function decimal(exactly: bigint, digits = 0): string {
  const text = String(exactly < 0n ? -exactly : exactly).padStart(SCALE + 1, "0");
  const fraction = text.slice(-SCALE).replace(/0+$/, "").padEnd(digits, "0");
  return `${exactly < 0n ? "-" : ""}${text.slice(0, -SCALE)}${fraction && `.${fraction}`}`;
}

/** For drawing only, where a rounding error does not matter. */
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

/** Formats a decimal string with its unit for people: `$1,234.50`, `12.5 kWh`. Keeps all digits. */
export function written(amount: string, unit: string): string {
  const isMoney = currencies.has(unit);
  const least = isMoney ? new Intl.NumberFormat("en", { style: "currency", currency: unit }).resolvedOptions() : undefined;
  const digits = Math.max(digitsOf(amount), least?.minimumFractionDigits ?? 0);
  // `format` is exact for strings, but its type only allows literals.
  const number = formatOf(unit, digits).format(amount as `${number}`);
  return isMoney ? number : `${number}\u202f${unit}`;
}

/** The amount as a fraction of the whole, for bars and percentages. */
export function part(amount: string, whole: string): number {
  const all = exact(whole);
  return all === 0n ? 0 : Number((exact(amount) * 10_000n) / all) / 10_000;
}

export const percent = (fraction: number): string =>
  new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(fraction);
