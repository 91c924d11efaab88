import { expect, test } from "vitest";
import { queryOf, sameFilters, withView } from "./filters";

const view = (name: string, status: "live" | "paid") => ({ name, filters: { status }, columns: ["arrived"] });

test("a view is saved once under its name, in its place", () => {
  const views = [view("In the air", "live"), view("Paid", "paid")];
  expect(withView(views, view("In the air", "paid"))).toEqual([view("In the air", "paid"), view("Paid", "paid")]);
  expect(withView(views, view("New", "paid")).map((one) => one.name)).toEqual(["In the air", "Paid", "New"]);
});

test("filters are the same whatever is left out or undefined", () => {
  expect(sameFilters({ status: "live", caller: undefined }, { status: "live" })).toBe(true);
  expect(sameFilters({ status: "live" }, { status: "paid" })).toBe(false);
  expect(sameFilters({}, { test: false })).toBe(false);
});

test("filters become the query of a request", () => {
  expect(queryOf({ status: "live", tag: "a=b & c", caller: undefined })).toBe("status=live&tag=a%3Db+%26+c");
});
