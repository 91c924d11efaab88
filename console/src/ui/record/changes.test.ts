import { describe, expect, it } from "vitest";
import { changedFields, differences, mergePatch, placeName, valueText } from "./changes";

const BEFORE = { name: "A", hours: null, price: { kind: "fixed", amount: "20", after_s: 60 }, caps: [{ limit: 5 }] };
const AFTER = { name: "B", hours: null, price: { kind: "bid", floor: "5", after_s: 60 }, caps: [{ limit: 6 }] };

describe("changes", () => {
  it("tells each value that differs, where it is", () => {
    expect(differences(BEFORE, AFTER)).toEqual([
      { field: "name", before: "A", after: "B" },
      { field: "price.kind", before: "fixed", after: "bid" },
      { field: "price.amount", before: "20", after: undefined },
      { field: "price.floor", before: undefined, after: "5" },
      { field: "caps.0.limit", before: 5, after: 6 },
    ]);
  });
  it("does not mind the order of names", () => {
    expect(differences({ a: 1, b: 2 }, { b: 2, a: 1 })).toEqual([]);
  });
  it("tells the fields at the top that differ", () => {
    expect(changedFields(BEFORE, AFTER)).toEqual(["name", "price", "caps"]);
  });
  it("makes a merge patch that takes names away that are gone", () => {
    expect(mergePatch(BEFORE, AFTER)).toEqual({
      name: "B",
      price: { kind: "bid", amount: null, floor: "5" },
      caps: [{ limit: 6 }],
    });
  });
  it("names places and values as people would", () => {
    expect(placeName("limits.caps.0.limit")).toBe("Limits, caps 1, limit");
    expect(valueText({ kind: "fixed", amount: "20", notes: "" })).toBe("kind fixed, amount 20");
    expect(valueText([])).toBe("none");
    expect(valueText(null)).toBe("nothing");
  });
});
