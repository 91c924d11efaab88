import type { Shapes } from "../../api/client";

type NumberBody = Shapes["NumberBody"];
type Assignment = NumberBody["assignments"][number];
export type Share = Assignment["split"][number];

/** The assignment in force at an instant, if there is one. */
export function inForce(number: NumberBody, at: Date): Assignment | undefined {
  return number.assignments.findLast(
    (one) => Date.parse(one.starts_at) <= at.getTime() && (one.ends_at === null || at.getTime() < Date.parse(one.ends_at)),
  );
}

/** The assignment before the one in force. */
export function before(number: NumberBody, at: Date): Assignment | undefined {
  const now = inForce(number, at);
  const place = now === undefined ? number.assignments.length : number.assignments.indexOf(now);
  return number.assignments.slice(0, place).findLast((one) => Date.parse(one.starts_at) <= at.getTime());
}

/** The number with callers divided like this from an instant on; without shares, it is nobody's. */
export function assigned(number: NumberBody, split: readonly Share[], publisherId: string | null, at: Date): NumberBody {
  const instant = at.toISOString();
  const past = number.assignments
    .filter((one) => Date.parse(one.starts_at) < at.getTime())
    .map((one) => (one.ends_at === null || Date.parse(one.ends_at) > at.getTime() ? { ...one, ends_at: instant } : one));
  if (split.length === 0) return { ...number, status: "cooldown", assignments: past };
  return {
    ...number,
    status: "assigned",
    assignments: [...past, { split: [...split], starts_at: instant, publisher_id: publisherId, ends_at: null }],
  };
}

/** Shares with one of them changed; what is left goes to the others, in proportion. They sum to 100. */
export function reshared(split: readonly Share[], place: number, percent: number): Share[] {
  const others = split.filter((_, at) => at !== place);
  const wanted = Math.max(split.length > 1 ? 1 : 100, Math.min(100 - others.length, Math.round(percent)));
  const sum = others.reduce((total, one) => total + one.percent, 0);
  let left = 100 - wanted;
  const changed = others.map((one, at) => {
    const rest = others.length - at - 1;
    const fair = rest === 0 ? left : Math.max(1, Math.min(left - rest, Math.round(((100 - wanted) * one.percent) / Math.max(1, sum))));
    left -= fair;
    return { ...one, percent: fair };
  });
  return split.map((one, at) => (at === place ? { ...one, percent: wanted } : (changed[at < place ? at : at - 1] ?? one)));
}
