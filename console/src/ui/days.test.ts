import { expect, test } from "vitest";
import { dayOf, dayStart, daysChosen, daysLater } from "./days";

const NEW_YORK = "America/New_York";
const NOW = new Date("2026-11-02T15:30:00Z");

test("a day begins at the zone's midnight, on the days when the clocks change too", () => {
  expect(dayStart("2026-07-01", NEW_YORK)).toBe("2026-07-01T04:00:00.000Z");
  expect(dayStart("2026-11-01", NEW_YORK)).toBe("2026-11-01T04:00:00.000Z");
  expect(dayStart("2026-11-02", NEW_YORK)).toBe("2026-11-02T05:00:00.000Z");
  expect(dayStart("2026-03-08", NEW_YORK)).toBe("2026-03-08T05:00:00.000Z");
  expect(dayStart("2026-07-01", "Asia/Kolkata")).toBe("2026-06-30T18:30:00.000Z");
});

test("the date depends on the zone", () => {
  expect(dayOf(new Date("2026-07-01T02:00:00Z"), NEW_YORK)).toBe("2026-06-30");
  expect(daysLater("2026-02-28", 1)).toBe("2026-03-01");
});

test("named days are those of now, up to now", () => {
  expect(daysChosen("today", NEW_YORK, NOW)).toEqual({ since: "2026-11-02T05:00:00.000Z" });
  expect(daysChosen("yesterday", NEW_YORK, NOW)).toEqual({
    since: "2026-11-01T04:00:00.000Z",
    until: "2026-11-02T05:00:00.000Z",
  });
  expect(daysChosen("7d", NEW_YORK, NOW)).toEqual({ since: "2026-10-27T04:00:00.000Z" });
});

test("both dates of a span are in it", () => {
  expect(daysChosen("2026-10-30..2026-11-01", NEW_YORK, NOW)).toEqual({
    since: "2026-10-30T04:00:00.000Z",
    until: "2026-11-02T05:00:00.000Z",
  });
});

test("what makes no sense asks nothing", () => {
  for (const chosen of ["soon", "2026-11-02..2026-11-01", "2026-99-01..2026-99-02", undefined])
    expect(daysChosen(chosen, NEW_YORK, NOW)).toEqual({});
});
