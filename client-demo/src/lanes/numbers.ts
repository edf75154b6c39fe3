import { locale } from "../words";

/** Formats are expensive to create and seven lanes write many numbers, so each is created once per language. */
function format(options: Intl.NumberFormatOptions): (value: number) => string {
  let made: Intl.NumberFormat | undefined;
  let madeFor = "";
  return (value) => {
    if (madeFor !== locale()) made = undefined;
    madeFor = locale();
    made ??= new Intl.NumberFormat(madeFor, options);
    return made.format(value);
  };
}

export const counted = format({ maximumFractionDigits: 1 });
export const milliseconds = format({ style: "unit", unit: "millisecond", maximumFractionDigits: 0 });

const whole = format({ maximumFractionDigits: 0 });

/** Formats bytes in a suitable unit: `412 B`, `8.2 kB`, `1.3 MB`. */
export function sized(bytes: number): string {
  if (bytes < 1e3) return `${whole(bytes)} B`;
  return bytes < 1e6 ? `${counted(bytes / 1e3)} kB` : `${counted(bytes / 1e6)} MB`;
}
