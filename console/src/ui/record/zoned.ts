/** Wall times of a zone as instants; pure. */

/** The instant of a wall time such as `2026-03-01T09:30` in a zone; in a doubled hour its first pass. */
export function instantIn(wall: string, zone: string): string {
  const asUtc = Date.parse(`${wall.length === 10 ? `${wall}T00:00` : wall}Z`);
  const guess = asUtc - offset(asUtc, zone);
  const better = asUtc - offset(guess, zone);
  const earlier = Math.min(guess, better);
  return new Date(wallOf(earlier, zone) === asUtc ? earlier : better).toISOString();
}

/** The wall time of an instant in a zone, as an input of the browser takes it. */
export function wallIn(at: string | Date, zone: string): string {
  const ms = typeof at === "string" ? Date.parse(at) : at.getTime();
  return new Date(wallOf(ms, zone)).toISOString().slice(0, 16);
}

function wallOf(ms: number, zone: string): number {
  return ms + offset(ms, zone);
}

/** How far a zone is before UTC at an instant, in ms. */
function offset(ms: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(new Date(ms));
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
  const wall = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return wall - Math.floor(ms / 1000) * 1000;
}
