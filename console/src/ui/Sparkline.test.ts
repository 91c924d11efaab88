import { expect, test } from "vitest";
import { points } from "./Sparkline";

test("a line goes from edge to edge, the most at the top and nothing at the bottom", () => {
  expect(points([0, 2, 4], 100, 20)).toBe("0.0,18.5 50.0,10.0 100.0,1.5");
});

test("a line of nothing lies at the bottom", () => {
  expect(points([0, 0], 100, 20)).toBe("0.0,18.5 100.0,18.5");
  expect(points([], 100, 20)).toBe("");
});
