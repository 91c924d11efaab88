import { expect, test } from "vitest";
import { type CallSummary, type ListPage, withCalls, withHead } from "./lists";

function call(second: number, state = "ended"): CallSummary {
  const at = `2026-07-01T00:00:${String(second).padStart(2, "0")}Z`;
  return { id: `call_${second}`, arrived_at: at, state } as CallSummary;
}

function page(seconds: number[], next: string | null = "next"): ListPage<CallSummary> {
  return { items: seconds.map((one) => call(one)), next_cursor: next };
}

function listOf(...pages: ListPage<CallSummary>[]) {
  return { pages, pageParams: pages.map((_, place) => (place === 0 ? undefined : `cursor ${place}`)) };
}

const ids = (data: { pages: ListPage<CallSummary>[] } | undefined) =>
  data?.pages.flatMap((one) => one.items.map((item) => item.id));

test("a call that something happened to is shown as it stands now, and other pages stay the same objects", () => {
  const before = listOf(page([9, 8]), page([7, 6], null));
  const after = withCalls(before, new Map([["call_8", call(8, "bridged")]]));
  expect(after.pages[0]?.items.map((one) => one.state)).toEqual(["ended", "bridged"]);
  expect(after.pages[1]).toBe(before.pages[1]);
});

test("a list with none of the calls stays the same object", () => {
  const before = listOf(page([9, 8]));
  expect(withCalls(before, new Map([["call_1", call(1)]]))).toBe(before);
});

test("new calls come on top, once, and those that are no longer listed go", () => {
  const before = listOf(page([9, 8, 7]), page([6, 5], null));
  const after = withHead(before, page([11, 10, 8, 7]));
  expect(ids(after)).toEqual(["call_11", "call_10", "call_8", "call_7", "call_6", "call_5"]);
});

test("a beginning that is the whole list replaces it", () => {
  expect(ids(withHead(listOf(page([9, 8]), page([7], null)), page([9], null)))).toEqual(["call_9"]);
});

test("where more came than a page holds, the list is to be read anew", () => {
  expect(withHead(listOf(page([3, 2]), page([1], null)), page([9, 8, 7]))).toBeUndefined();
});
