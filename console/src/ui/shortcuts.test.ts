import { expect, test } from "vitest";
import { commandFor, found } from "./shortcuts";

const run = () => {};
const COMMANDS = [
  { keys: "g c", label: "Calls", group: "Go to", run },
  { keys: "?", label: "Keyboard shortcuts", group: "Help", run },
  { label: "Harbor Roofing", group: "Campaign", words: "cmp_1", run },
];

test("a command is found by its keys, one after the other", () => {
  expect(commandFor(COMMANDS, "g c")?.label).toBe("Calls");
  expect(commandFor(COMMANDS, "c")).toBeUndefined();
});

test("the palette finds what has every word, in any order and case", () => {
  expect(found(COMMANDS, "roof HARBOR").map((one) => one.label)).toEqual(["Harbor Roofing"]);
  expect(found(COMMANDS, "cmp_1 campaign")).toHaveLength(1);
  expect(found(COMMANDS, "")).toHaveLength(3);
  expect(found(COMMANDS, "nothing like it")).toEqual([]);
});
