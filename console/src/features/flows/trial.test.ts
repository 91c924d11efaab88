import { expect, it } from "vitest";
import { actOf } from "./keys";
import { isWhole, stepped, unbegun } from "./trial";

const ASK = {
  state: { node: "zip" },
  fields: {},
  spoken: [{ kind: "say" as const, text: "Hello." }],
  onward: {
    kind: "ask_caller" as const,
    gather: { kind: "gather" as const, prompts: [{ kind: "say" as const, text: "Your ZIP?" }], timeout_s: 5, max_digits: 5 },
  },
  visits: [
    { node: "hello", exit: "next" },
    { node: "zip", exit: "wait" },
  ],
};

it("tells what was heard and pressed, and lights the way", () => {
  const first = stepped(unbegun(7), undefined, ASK);
  expect(first.lines.map((line) => line.text)).toEqual(["Hello.", "Your ZIP?"]);
  const last = stepped(first, "94105", {
    ...ASK,
    spoken: [],
    onward: { kind: "to_routing" },
    visits: [
      { node: "zip", exit: "next" },
      { node: "buyers", exit: "route" },
    ],
  });
  expect(last.lines.slice(2).map((line) => [line.who, line.text])).toEqual([
    ["caller", "94105"],
    ["engine", "The routing plan takes over"],
  ]);
  expect([...last.lit]).toEqual(["hello", "hello|next", "zip", "zip|wait", "zip|next", "buyers", "buyers|route"]);
  expect(last.draw).toBe(7);
});

it("sends keys as soon as they are all", () => {
  expect([isWhole(ASK, "9410"), isWhole(ASK, "94105"), isWhole(undefined, "1")]).toEqual([false, true, false]);
});

it("knows what keys do on the canvas", () => {
  const key = (name: string, held: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}) =>
    actOf({ key: name, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held });
  expect([key("z", { ctrlKey: true }), key("Z", { metaKey: true, shiftKey: true }), key("Delete"), key("x"), key("a", { altKey: true })]).toEqual([
    "undo",
    "redo",
    "remove",
    undefined,
    undefined,
  ]);
});
