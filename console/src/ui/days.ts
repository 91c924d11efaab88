/** Days of a zone as instants; pure. */

/** The first instant of a day (`2026-07-01`) in a zone. */
export function dayStart(day: string, zone: string): string {
  const wall = Date.parse(`${day}T00:00:00Z`);
  // The offset at the wanted instant is not known before it is; twice is enough but where midnight is skipped.
  let at = wall - offset(wall, zone);
  at = wall - offset(at, zone);
  return new Date(at).toISOString();
}

/** The date that it is at an instant in a zone, as `2026-07-01`. */
export function dayOf(at: Date, zone: string): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(at);
}

/** A date so many days later, or earlier. */
export function daysLater(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

function offset(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(new Date(at));
  const [year, month, day, hour, minute, second] = ["year", "month", "day", "hour", "minute", "second"].map((name) =>
    Number(parts.find((one) => one.type === name)?.value),
  );
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000;
}

/** Days to choose by name; `from..to` are two dates, both included. */
export const PRESETS = { today: "Today", yesterday: "Yesterday", "7d": "Last 7 days", "30d": "Last 30 days" } as const;

/** What was chosen as instants, `since` included and `until` not; nothing where it makes no sense. */
export function daysChosen(chosen: string | undefined, zone: string, now: Date): { since?: string; until?: string } {
  if (chosen === undefined) return {};
  const today = dayOf(now, zone);
  const back = { today: 0, yesterday: 1, "7d": 6, "30d": 29 }[chosen];
  if (back !== undefined) {
    const since = dayStart(daysLater(today, -back), zone);
    return chosen === "yesterday" ? { since, until: dayStart(today, zone) } : { since };
  }
  const dates = /^(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)$/.exec(chosen);
  const [from, to] = [dates?.[1], dates?.[2]];
  if (from === undefined || to === undefined || Number.isNaN(Date.parse(from)) || Number.isNaN(Date.parse(to)) || from > to)
    return {};
  return { since: dayStart(from, zone), until: dayStart(daysLater(to, 1), zone) };
}
