import { describe, expect, it } from "vitest";
import { canStep, compacted, dropped, type Entry, freshEntry, shares, stepped, tiersOf, withEntry, without } from "./entries";

function plan(...priorities: number[]): Entry[] {
  return priorities.map((priority, place) => freshEntry(`off_${place}`, priority));
}

function priorities(entries: readonly Entry[]): number[] {
  return entries.map((entry) => entry.priority);
}

describe("tiers", () => {
  it("are the entries of one priority, in order", () => {
    expect(tiersOf(plan(20, 5, 20))).toEqual([
      { priority: 5, places: [1] },
      { priority: 20, places: [0, 2] },
    ]);
    expect(priorities(compacted(plan(20, 5, 20)))).toEqual([2, 1, 2]);
  });
  it("take what is dropped on them, or between them", () => {
    expect(priorities(dropped(plan(1, 1, 2), 0, 1))).toEqual([2, 1, 2]);
    expect(priorities(dropped(plan(1, 1, 2), 0, 0, true))).toEqual([1, 2, 3]);
    expect(priorities(dropped(plan(1, 1, 2), 0, 1, true))).toEqual([2, 1, 3]);
    expect(priorities(dropped(plan(1, 1, 2), 2, 0))).toEqual([1, 1, 1]);
    expect(priorities(dropped(plan(1, 1), 1, 1, true))).toEqual([1, 2]);
  });
  it("are gone through step by step by the keyboard", () => {
    const top = stepped(plan(1, 1, 2), 0, -1);
    expect(priorities(top)).toEqual([1, 2, 3]);
    expect(priorities(stepped(top, 0, 1))).toEqual([1, 1, 2]);
    expect(canStep(top, 0, -1)).toBe(false);
    expect(canStep(top, 2, 1)).toBe(false);
    expect(canStep(plan(1), 0, 1)).toBe(false);
  });
});

it("shares are of those that take part", () => {
  const entries = withEntry(withEntry(plan(1, 1, 1), 0, { weight: 300 }), 2, { paused: true });
  const [tier] = tiersOf(entries);
  expect(tier === undefined ? [] : [...shares(entries, tier)]).toEqual([
    [0, 75],
    [1, 25],
  ]);
  expect(priorities(without(plan(1, 2, 3), 1))).toEqual([1, 2]);
});
