/** Amounts, times and ratios as people read them; pure, and never by way of a float where it is money. */

const moneyFormats = new Map<string, Intl.NumberFormat>();
const timeFormats = new Map<string, Intl.DateTimeFormat>();

/**
 * A decimal string as money: `1234.5` in USD is `$1,234.50`; more digits are shown where there are any, unless
 * `round` says to show `cents` or `whole` units only.
 */
export function money(amount: string, currency: string, round?: "cents" | "whole"): string {
  const digits = round === "whole" ? 0 : round === "cents" ? 2 : Math.max(2, amount.split(".")[1]?.replace(/0+$/, "").length ?? 0);
  const key = `${currency} ${digits}`;
  let format = moneyFormats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat("en-US", {
      style: "currency",
      currency,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
      // What rounds to nothing has no sign.
      signDisplay: "negative",
    });
    moneyFormats.set(key, format);
  }
  return format.format(amount as Intl.StringNumericLiteral);
}

/** Whether an amount is zero, however it is written. */
export function isZero(amount: string): boolean {
  return /^-?0*(\.0*)?$/.test(amount);
}

const counts = new Intl.NumberFormat("en-US");

/** `12345` is `12,345`. */
export function count(number: number): string {
  return counts.format(number);
}

/** A share as per cent, with one digit under ten: `0.042` is `4.2%`; `–` where there is nothing to share. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const value = (part / whole) * 100;
  return `${value < 10 && value !== 0 ? value.toFixed(1) : Math.round(value)}%`;
}

/** Whole seconds as `m:ss`, or `h:mm:ss`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(rest).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

export type TimeStyle = "time" | "minute" | "day" | "short" | "full";

const STYLES: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { year: "numeric", month: "short", day: "numeric" },
  short: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  full: {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  },
};

/** An instant in a zone. */
export function instant(at: string | Date, zone: string, style: TimeStyle): string {
  const key = `${zone} ${style}`;
  let format = timeFormats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", { ...STYLES[style], timeZone: zone });
    timeFormats.set(key, format);
  }
  return format.format(typeof at === "string" ? new Date(at) : at);
}

/** How long ago, roughly: `just now`, `4 min ago`, `3 h ago`, `12 d ago`. */
export function ago(at: string, now: Date): string {
  const seconds = (now.getTime() - Date.parse(at)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A North American number as it is written there, others as they are; masked ones keep their stars. */
export function phone(number: string): string {
  const parts = /^\+1([0-9*]{3})([0-9*]{3})([0-9*]{4})$/.exec(number);
  return parts === null ? number : `(${parts[1]}) ${parts[2]}-${parts[3]}`;
}

/** A code as words: `no_answer` is `No answer`. */
export function words(code: string): string {
  const text = code.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
