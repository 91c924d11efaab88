import { describe, expect, it } from "vitest";
import { paired, theirCalls, total } from "./reconciling";

const ours = (id: string, seconds: number, amount = "20") => ({
  id,
  caller: "+14155550100",
  at: new Date(Date.UTC(2026, 2, 1, 12, 0, seconds)).toISOString(),
  amount,
});

describe("a buyer's list against ours", () => {
  it("is read by its header, and wrong lines are told", () => {
    expect(theirCalls("time,caller id,price\n2026-03-01T12:00:00Z,(415) 555-0100,$20.00\nnot a call")).toEqual({
      calls: [{ line: 2, caller: "14155550100", at: "2026-03-01T12:00:00.000Z", amount: "20.00" }],
      wrong: [3],
    });
  });
  it("pairs each call once, the closest within a minute", () => {
    const { calls } = theirCalls("4155550100,2026-03-01T12:00:00Z,20\n4155550100,2026-03-01T12:00:40Z,25\n4155550100,2026-03-01T14:00:00Z,20");
    const pairs = paired(calls, [ours("a", 2), ours("b", 50), ours("c", 200)]);
    expect(pairs.map((one) => [one.theirs?.line, one.ours?.id, one.verdict])).toEqual([
      [1, "a", "same"],
      [2, "b", "amount"],
      [3, undefined, "only_theirs"],
      [undefined, "c", "only_ours"],
    ]);
  });
  it("sums without rounding", () => {
    expect(total(["0.1", "0.2", "-1.000001"])).toBe("-0.700001");
  });
});
