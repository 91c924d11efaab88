import { expect, test } from "vitest";
import { change, hourly, share, tilesFor } from "./figures";

test("each role is shown its own side of the money only", () => {
  const shown = (role: Parameters<typeof tilesFor>[0]) => tilesFor(role).map((tile) => tile.metric);
  expect(shown("analyst")).toEqual(["received", "connected", "converted", "revenue", "payout", "profit"]);
  expect(shown("buyer")).toEqual(["received", "connected", "converted", "revenue"]);
  expect(shown("publisher")).toEqual(["received", "connected", "paid", "payout"]);
});

test("a change is told in per cent, of a loss too, and not against nothing", () => {
  expect(change(15, 10)).toBe(50);
  expect(change("-5.00", "-10.00")).toBe(50);
  expect(change(3, 0)).toBeUndefined();
  expect(change(null, 4)).toBe(-100);
});

test("hours without calls are nothing, and what is older is left out", () => {
  const groups = [
    { at: "2026-07-01T09:00:00Z", value: 4 },
    { at: "2026-07-01T11:00:00Z", value: 2 },
    { at: "2026-07-01T05:00:00Z", value: 9 },
  ];
  expect(hourly(groups, new Date("2026-07-01T12:30:00Z"), 4)).toEqual([4, 0, 2, 0]);
});

test("a limit of nothing is used up", () => {
  expect([share("7", "10"), share("0", "0"), share("12.50", "10.00")]).toEqual([0.7, 1, 1.25]);
});
