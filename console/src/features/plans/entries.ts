/** The offers of a routing plan, tier by tier: pure changes. A tier is the entries of one priority. */
import type { Shapes } from "../../api/client";

export type Entry = Shapes["Entry"];

/** One tier, with the places of its entries in the plan. */
export interface Tier {
  priority: number;
  places: number[];
}

/** What a price, rule or weight is left at where an offer just joins. */
export function freshEntry(offerId: string, priority: number): Entry {
  return {
    offer_id: offerId,
    priority,
    weight: 100,
    price: null,
    rule: null,
    limits: { caps: [], concurrency: null, spacing_s: null },
    paused: false,
  };
}

/** The tiers in the order in which they are asked. */
export function tiersOf(entries: readonly Entry[]): Tier[] {
  const byPriority = new Map<number, number[]>();
  entries.forEach((entry, place) => byPriority.set(entry.priority, [...(byPriority.get(entry.priority) ?? []), place]));
  return [...byPriority.entries()].sort(([left], [right]) => left - right).map(([priority, places]) => ({ priority, places }));
}

/** The entry at a place put into the tier of that order; `between` puts it into a tier of its own before it. */
export function dropped(entries: readonly Entry[], place: number, order: number, between = false): Entry[] {
  const tiers = tiersOf(entries);
  const ranks = entries.map((entry) => tiers.findIndex((tier) => tier.priority === entry.priority) * 2);
  ranks[place] = between ? order * 2 - 1 : Math.min(order, tiers.length - 1) * 2;
  const wanted = [...new Set(ranks)].sort((left, right) => left - right);
  return changedWhere(entries, (_, at) => ({ priority: wanted.indexOf(ranks[at] ?? 0) + 1 }));
}

/** The entry one tier up (-1) or down (1). One that leaves others behind at the edge gets a tier of its own. */
export function stepped(entries: readonly Entry[], place: number, step: -1 | 1): Entry[] {
  const tiers = tiersOf(entries);
  const order = tiers.findIndex((tier) => tier.places.includes(place));
  const here = tiers[order];
  if (here === undefined) return [...entries];
  const target = order + step;
  if (target >= 0 && target < tiers.length) return dropped(entries, place, target);
  if (here.places.length === 1) return [...entries];
  return dropped(entries, place, step === -1 ? order : order + 1, true);
}

/** Whether an entry can be moved up or down at all. */
export function canStep(entries: readonly Entry[], place: number, step: -1 | 1): boolean {
  return stepped(entries, place, step).some((entry, at) => entry.priority !== compacted(entries)[at]?.priority);
}

/** Priorities 1, 2, 3 without gaps, in the same order. */
export function compacted(entries: readonly Entry[]): Entry[] {
  const tiers = tiersOf(entries);
  return changedWhere(entries, (entry) => ({ priority: tiers.findIndex((tier) => tier.priority === entry.priority) + 1 }));
}

/** One entry with some fields changed. */
export function withEntry(entries: readonly Entry[], place: number, change: Partial<Entry>): Entry[] {
  return entries.map((entry, at) => (at === place ? { ...entry, ...change } : entry));
}

export function without(entries: readonly Entry[], place: number): Entry[] {
  return compacted(entries.filter((_, at) => at !== place));
}

/** The share of each running entry of a tier by its weight, in whole per cents at its place. */
export function shares(entries: readonly Entry[], tier: Tier): Map<number, number> {
  const running = tier.places.filter((place) => entries[place]?.paused === false);
  const total = running.reduce((sum, place) => sum + (entries[place]?.weight ?? 0), 0);
  return new Map(running.map((place) => [place, total === 0 ? 0 : Math.round(((entries[place]?.weight ?? 0) / total) * 100)]));
}

function changedWhere(entries: readonly Entry[], change: (entry: Entry, place: number) => Partial<Entry>): Entry[] {
  return entries.map((entry, place) => {
    const to = change(entry, place);
    return to.priority === entry.priority ? entry : { ...entry, ...to };
  });
}
