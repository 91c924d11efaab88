import { expect, it } from "vitest";
import { even } from "./split";
import { clockOf, minuteOf, spanOf, weekTold } from "./week";

it("reads and writes clock times, and closes after midnight", () => {
  expect([clockOf(540), clockOf(1500), minuteOf("09:30"), minuteOf("24:10")]).toEqual(["09:00", "01:00", 570, undefined]);
  expect(spanOf(4, 1200, 120)).toEqual({ day: 4, opens_minute: 1200, closes_minute: 1560 });
});

it("tells a week in a line", () => {
  const workdays = [0, 1, 2, 3, 4].map((day) => spanOf(day, 540, 1020));
  expect(weekTold({ time_zone: "UTC", spans: [...workdays, spanOf(5, 600, 720)] })).toBe("Mon–Fri 09:00–17:00; Sat 10:00–12:00");
  expect(weekTold({ time_zone: "UTC", spans: [0, 1, 2, 3, 4, 5, 6].map((day) => spanOf(day, 0, 0)) })).toBe("Every day all day");
  expect(weekTold({ time_zone: "UTC", spans: [] })).toBe("Never open");
});

it("splits as evenly as whole per cents can be", () => {
  expect(even([1, 1, 1].map((percent) => ({ percent, next: "a" }))).map((share) => share.percent)).toEqual([34, 33, 33]);
});
