import { expect, it } from "vitest";
import { changesBetween } from "./changes";
import type { Flow } from "./flow";

const BEFORE: Flow = {
  start: "a",
  nodes: { a: { kind: "say", text: "Hello.", next: "b" }, b: { kind: "route" }, c: { kind: "hangup" } },
};

it("tells what is new, gone, other, and begun elsewhere", () => {
  const after: Flow = {
    start: "d",
    nodes: { a: { kind: "say", text: "Good day.", next: "d" }, b: { kind: "hangup" }, d: { kind: "hangup" } },
  };
  expect(changesBetween(BEFORE, after)).toEqual([
    { node: "d", what: "start", parts: [] },
    { node: "a", what: "changed", parts: ["text", "way on (next)"] },
    { node: "b", what: "changed", parts: ["kind"] },
    { node: "d", what: "added", parts: [] },
    { node: "c", what: "removed", parts: [] },
  ]);
});

it("tells nothing of an order of names, and everything of a first version", () => {
  const again: Flow = { start: "a", nodes: { ...BEFORE.nodes, a: { next: "b", text: "Hello.", kind: "say" } } };
  expect(changesBetween(BEFORE, again)).toEqual([]);
  expect(changesBetween(undefined, BEFORE).map((one) => one.what)).toEqual(["added", "added", "added"]);
});
