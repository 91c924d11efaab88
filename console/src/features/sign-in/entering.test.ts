import { expect, test } from "vitest";
import { onward } from "./entering";

test("after signing in one goes on to where one wanted to go", () => {
  expect(onward("/calls?status=live")).toBe("/calls?status=live");
});

test("nobody is sent on to another site, or round in a circle", () => {
  for (const next of ["https://example.com/", "//example.com", "/\\example.com", "/sign-in", "calls", "", undefined, 7])
    expect(onward(next)).toBe("/");
});
