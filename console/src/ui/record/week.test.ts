import { describe, expect, it } from "vitest";
import { openness, painted, type Span, weekText } from "./week";

const span = (day: number, opens_minute: number, closes_minute: number): Span => ({ day, opens_minute, closes_minute });

describe("a week that is painted", () => {
  it("joins what touches on a day", () => {
    expect(painted([span(0, 540, 600)], 0, 600, 660, true)).toEqual([span(0, 540, 660)]);
  });
  it("cuts a hole and keeps the rest", () => {
    expect(painted([span(0, 540, 1020)], 0, 720, 780, false)).toEqual([span(0, 540, 720), span(0, 780, 1020)]);
  });
  it("cuts the morning off a night that began the evening before", () => {
    expect(painted([span(0, 1200, 1560)], 1, 60, 120, false)).toEqual([span(0, 1200, 1500)]);
  });
  it("cuts the morning off a night from Sunday into Monday", () => {
    expect(painted([span(6, 1380, 1560)], 0, 0, 60, false)).toEqual([span(6, 1380, 1440), span(0, 60, 120)].reverse());
  });
  it("tells how much of a time is open", () => {
    expect(openness([span(6, 1380, 1560)], 0, 0, 30)).toBe("all");
    expect(openness([span(0, 545, 600)], 0, 540, 570)).toBe("part");
    expect(openness([], 0, 0, 30)).toBe("none");
  });
  it("is told in words", () => {
    const week = [0, 1, 2, 3, 4].map((day) => span(day, 540, 1020));
    expect(weekText([...week, span(5, 600, 1440)])).toBe("Mon–Fri 09:00–17:00, Sat 10:00–24:00");
    expect(weekText([])).toBe("Never open");
  });
});
