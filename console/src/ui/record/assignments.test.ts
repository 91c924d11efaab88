import { describe, expect, it } from "vitest";
import type { Shapes } from "../../api/client";
import { assigned, before, inForce, reshared } from "./assignments";

const AT = new Date("2026-03-01T12:00:00.000Z");
const FREE: Shapes["NumberBody"] = {
  number: "+14155550199",
  connection_id: "con_1",
  status: "available",
  provisioning: "active",
  assignments: [],
  late_payout_days: 30,
  tags: {},
};
const ALL = [{ campaign_id: "cmp_1", percent: 100 }];

describe("assignments of a number", () => {
  it("end where the next begins", () => {
    const first = assigned(FREE, ALL, "pub_1", new Date("2026-02-01T00:00:00.000Z"));
    const second = assigned(first, [{ campaign_id: "cmp_2", percent: 100 }], "pub_1", AT);
    expect(second.assignments.map((one) => [one.starts_at, one.ends_at])).toEqual([
      ["2026-02-01T00:00:00.000Z", AT.toISOString()],
      [AT.toISOString(), null],
    ]);
    expect(inForce(second, AT)?.split).toEqual([{ campaign_id: "cmp_2", percent: 100 }]);
    expect(before(second, AT)?.split).toEqual(ALL);
  });
  it("cool down when they are taken away", () => {
    const free = assigned(assigned(FREE, ALL, null, new Date("2026-02-01T00:00:00.000Z")), [], null, AT);
    expect(free.status).toBe("cooldown");
    expect(inForce(free, AT)).toBeUndefined();
  });
  it("share out a hundred per cent, whatever is moved", () => {
    const split = ["a", "b", "c"].map((campaign_id, place) => ({ campaign_id, percent: [50, 30, 20][place] ?? 0 }));
    expect(reshared(split, 0, 80).map((one) => one.percent)).toEqual([80, 12, 8]);
    for (const percent of [-5, 0, 33, 99, 100, 250])
      expect(reshared(split, 1, percent).reduce((sum, one) => sum + one.percent, 0)).toBe(100);
  });
});
