/** Opening times of a week as they are painted; pure. Minutes are after the midnight of a day. */

export interface Span {
  day: number;
  opens_minute: number;
  closes_minute: number;
}

const DAY = 1_440;
const WEEK = 7 * DAY;
export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const;

/** How much of a time of a day is open. Spans reach past midnight, from Sunday into Monday too. */
export function openness(spans: readonly Span[], day: number, from: number, to: number): "all" | "part" | "none" {
  const minutes = new Set<number>();
  for (const [begin, end] of pieces(spans)) {
    for (let at = Math.max(begin, day * DAY + from); at < Math.min(end, day * DAY + to); at++) minutes.add(at);
  }
  return minutes.size === 0 ? "none" : minutes.size === to - from ? "all" : "part";
}

/** The spans with a time of one day opened or closed. What was not touched stays as it was written. */
export function painted(spans: readonly Span[], day: number, from: number, to: number, open: boolean): Span[] {
  if (open) return inOrder(joined([...spans, { day, opens_minute: from, closes_minute: to }], day));
  const [begin, end] = [day * DAY + from, day * DAY + to];
  return inOrder(
    spans.flatMap((span) => {
      const start = span.day * DAY + span.opens_minute;
      const stop = span.day * DAY + span.closes_minute;
      // A span of Sunday may reach into the Monday that the week begins with.
      const shift = stop > WEEK && end <= stop - WEEK ? WEEK : 0;
      const [cutFrom, cutTo] = [begin + shift, end + shift];
      if (cutTo <= start || cutFrom >= stop) return [span];
      return [
        ...(start < cutFrom ? [spanOf(start, cutFrom)] : []),
        ...(cutTo < stop ? [spanOf(cutTo, stop)] : []),
      ];
    }),
  );
}

function joined(spans: readonly Span[], day: number): Span[] {
  const others = spans.filter((one) => one.day !== day);
  const mine = spans.filter((one) => one.day === day).sort((left, right) => left.opens_minute - right.opens_minute);
  const done: Span[] = [];
  for (const span of mine) {
    const last = done.at(-1);
    if (last !== undefined && span.opens_minute <= last.closes_minute)
      done[done.length - 1] = { ...last, closes_minute: Math.max(last.closes_minute, span.closes_minute) };
    else done.push(span);
  }
  return [...others, ...done];
}

function inOrder(spans: readonly Span[]): Span[] {
  return [...spans].sort((left, right) => left.day - right.day || left.opens_minute - right.opens_minute);
}

function spanOf(start: number, stop: number): Span {
  const day = Math.floor(start / DAY) % 7;
  const opens = start % DAY;
  return { day, opens_minute: opens, closes_minute: opens + (stop - start) };
}

/** The spans as minutes of the week; what reaches past Sunday is at the beginning too. */
function pieces(spans: readonly Span[]): [number, number][] {
  return spans.flatMap((span): [number, number][] => {
    const start = span.day * DAY + span.opens_minute;
    const stop = span.day * DAY + span.closes_minute;
    return stop > WEEK
      ? [
          [start, WEEK],
          [0, stop - WEEK],
        ]
      : [[start, stop]];
  });
}

/** Minutes after midnight as a time: 570 is `09:30`; past midnight it is the next day's. */
export function clockOf(minute: number): string {
  const inDay = minute % DAY;
  return `${String(Math.floor(inDay / 60)).padStart(2, "0")}:${String(inDay % 60).padStart(2, "0")}`;
}

/** A week in words: `Mon–Fri 09:00–17:00, Sat 10:00–14:00`. */
export function weekText(spans: readonly Span[]): string {
  if (spans.length === 0) return "Never open";
  const times = DAYS.map((_, day) =>
    spans
      .filter((one) => one.day === day)
      .map((one) => `${clockOf(one.opens_minute)}–${one.closes_minute === DAY ? "24:00" : clockOf(one.closes_minute)}`)
      .join(" and "),
  );
  const parts: string[] = [];
  for (let day = 0; day < 7; ) {
    let last = day;
    while (last < 6 && times[last + 1] === times[day]) last++;
    if (times[day] !== "") parts.push(`${short(day)}${last > day ? `–${short(last)}` : ""} ${times[day]}`);
    day = last + 1;
  }
  return parts.join(", ");
}

function short(day: number): string {
  return (DAYS[day] ?? "").slice(0, 3);
}
