import { expect, test } from "vitest";
import { filtersIn, flag, instantFilter, oneOf, text } from "./filters";

const SPEC = { status: oneOf(["live", "ended"]), campaign_id: text, test: flag, since: instantFilter };

test("filters are read from the address", () => {
  const search = { status: "live", campaign_id: "cmp_1", test: "false", since: "2026-07-01T00:00:00Z" };
  expect(filtersIn(SPEC, search)).toEqual({ ...search, test: false });
});

test("what makes no sense is left out instead of breaking the page", () => {
  expect(filtersIn(SPEC, { status: "dead", campaign_id: "", test: "maybe", since: "soon", other: "1" })).toEqual({});
});
