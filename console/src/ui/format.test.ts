import { expect, test } from "vitest";
import { ago, clock, count, instant, isZero, money, percent, phone, words } from "./format";

test("money is shown to the cent, and with the digits that it has beyond", () => {
  expect(money("1234.5", "USD")).toBe("$1,234.50");
  expect(money("-0.0085", "USD")).toBe("-$0.0085");
  expect(money("12.500000", "USD")).toBe("$12.50");
  expect(money("1234.56", "USD", "whole")).toBe("$1,235");
  expect(money("-0.0085", "USD", "cents")).toBe("-$0.01");
  expect(money("-0.0085", "USD", "whole")).toBe("$0");
  expect(money("7", "EUR")).toBe("€7.00");
});

test("an amount larger than a float holds keeps its cents", () => {
  expect(money("9007199254740993.01", "USD")).toBe("$9,007,199,254,740,993.01");
});

test("zero is zero however it is written", () => {
  expect(["0", "0.00", "-0.000"].map(isZero)).toEqual([true, true, true]);
  expect(["0.01", "10", "-0.000001"].map(isZero)).toEqual([false, false, false]);
});

test("a share of nothing is no number", () => {
  expect(percent(0, 0)).toBe("–");
  expect(percent(1, 3)).toBe("33%");
  expect(percent(1, 30)).toBe("3.3%");
  expect(percent(0, 9)).toBe("0%");
});

test("seconds are shown as a clock does", () => {
  expect([0, 9, 61, 3_600, 36_125].map(clock)).toEqual(["0:00", "0:09", "1:01", "1:00:00", "10:02:05"]);
});

test("an instant is shown in the zone that was named, over the change of the clocks too", () => {
  expect(instant("2026-07-01T02:03:04Z", "America/New_York", "full")).toBe("Jun 30, 2026, 22:03:04");
  expect(instant("2026-12-01T02:03:04Z", "America/New_York", "time")).toBe("21:03:04");
});

test("how long ago is told roughly", () => {
  const now = new Date("2026-07-01T12:00:00Z");
  const told = ["2026-07-01T11:59:30Z", "2026-07-01T11:30:00Z", "2026-07-01T03:00:00Z", "2026-06-20T12:00:00Z"];
  expect(told.map((at) => ago(at, now))).toEqual(["just now", "30 min ago", "9 h ago", "11 d ago"]);
});

test("numbers of North America are written as there, others and masked ones stay whole", () => {
  expect(phone("+14155550100")).toBe("(415) 555-0100");
  expect(phone("+1415*******")).toBe("(415) ***-****");
  expect(phone("+442071838750")).toBe("+442071838750");
});

test("codes become words", () => {
  expect(words("no_answer")).toBe("No answer");
  expect(count(1_234_567)).toBe("1,234,567");
});
