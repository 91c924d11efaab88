/** Weekly hours as people type them. Pure. */
import type { Shapes } from "../../../api/client";

export type Hours = Shapes["HoursInput"];
export type Span = Hours["spans"][number];

export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const;
const DAY_MINUTES = 1440;

/** `540` is `09:00`; what is past midnight is of the next day. */
export function clockOf(minute: number): string {
  const within = minute % DAY_MINUTES;
  return `${String(Math.floor(within / 60)).padStart(2, "0")}:${String(within % 60).padStart(2, "0")}`;
}

/** Minutes after midnight of `09:00`; undefined where it is no time. */
export function minuteOf(text: string): number | undefined {
  const parts = /^([01][0-9]|2[0-3]):([0-5][0-9])$/.exec(text);
  return parts === null ? undefined : Number(parts[1]) * 60 + Number(parts[2]);
}

/** A span between two clock times: one that ends when or before it starts ends on the next day. */
export function spanOf(day: number, opens: number, closes: number): Span {
  return { day, opens_minute: opens, closes_minute: closes > opens ? closes : closes + DAY_MINUTES };
}

/** The week in a line: `Mon–Fri 09:00–17:00`. */
export function weekTold(hours: Hours): string {
  if (hours.spans.length === 0) return "Never open";
  const byDay = DAYS.map((_, day) =>
    hours.spans
      .filter((span) => span.day === day)
      .sort((left, right) => left.opens_minute - right.opens_minute)
      .map((span) => (span.closes_minute - span.opens_minute === DAY_MINUTES ? "all day" : `${clockOf(span.opens_minute)}–${clockOf(span.closes_minute)}`))
      .join(", "),
  );
  const parts: string[] = [];
  for (let day = 0; day < DAYS.length; ) {
    let last = day;
    while (last + 1 < DAYS.length && byDay[last + 1] === byDay[day]) last += 1;
    const name = short(day) + (last > day ? `–${short(last)}` : "");
    if (byDay[day] !== "") parts.push(`${day === 0 && last === 6 ? "Every day" : name} ${byDay[day]}`);
    day = last + 1;
  }
  return parts.join("; ");
}

function short(day: number): string {
  return (DAYS[day] ?? "").slice(0, 3);
}
