import { describe, expect, it } from "vitest";
import { added, addedAfter, connected, copied, freshId, moved, nameProblem, pasted, removed, renamed, startedAt } from "./edits";
import { capturedFields, type Draft, exits, type FlowNode, NOWHERE, withExit } from "./flow";
import { KINDS } from "./nodes";

const DRAFT: Draft = {
  flow: {
    start: "hello",
    nodes: {
      hello: { kind: "say", text: "Hello.", next: "choose" },
      choose: {
        kind: "menu",
        prompt: { kind: "say", text: "Press 1." },
        branches: { "1": "buyers", "2": "bye" },
        no_input: "bye",
        field: "choice",
      },
      buyers: { kind: "route" },
      bye: { kind: "hangup" },
    },
  },
  layout: { hello: { x: 0, y: 0 }, choose: { x: 300, y: 0 } },
};

function nextOf(draft: Draft, id: string): string[] {
  const node = draft.flow.nodes[id];
  return node === undefined ? [] : exits(node).map((exit) => exit.next);
}

describe("exits", () => {
  it("are set one by one, for every kind of node", () => {
    for (const kind of Object.values(KINDS)) {
      let node: FlowNode = kind.make();
      for (const exit of exits(node)) node = withExit(node, exit.name, `to_${exit.name.replace(".", "_")}`);
      expect(exits(node).map((exit) => exit.next)).toEqual(exits(node).map((exit) => `to_${exit.name.replace(".", "_")}`));
      expect(withExit(node, "no such exit", "bye")).toEqual(node);
    }
  });
  it("of a new node lead nowhere", () => {
    for (const kind of Object.values(KINDS)) expect(exits(kind.make()).every((exit) => exit.next === NOWHERE)).toBe(true);
  });
});

describe("adding", () => {
  it("gives a name of its own and whole coordinates", () => {
    const { draft, id } = added(DRAFT, { kind: "hangup" }, { x: 10.4, y: -3.6 });
    expect([id, draft.layout[id], draft.flow.nodes[id]]).toEqual(["hangup", { x: 10, y: -4 }, { kind: "hangup" }]);
    expect(freshId({ menu: 1, menu_2: 1 }, "menu")).toBe("menu_3");
    expect(freshId({ menu_2: 1 }, "menu_2")).toBe("menu");
    expect(freshId({}, NOWHERE)).toBe("nowhere_2");
  });
  it("leads the first open exit of the chosen node to the new one", () => {
    const first = addedAfter(DRAFT, "hello", { kind: "set", field: "a", value: "b", next: NOWHERE }, { x: 0, y: 0 });
    expect(nextOf(first.draft, "hello")).toEqual(["choose"]);
    const second = addedAfter(first.draft, first.id, { kind: "hangup" }, { x: 0, y: 0 });
    expect(nextOf(second.draft, first.id)).toEqual([second.id]);
  });
});

describe("removing", () => {
  it("leaves exits that led there open", () => {
    const left = removed(DRAFT, ["bye"]);
    expect(nextOf(left, "choose")).toEqual(["buyers", NOWHERE, NOWHERE]);
    expect(Object.keys(left.flow.nodes)).toEqual(["hello", "choose", "buyers"]);
  });
  it("begins where the start led, when the start goes", () => {
    expect(removed(DRAFT, ["hello"]).flow.start).toBe("choose");
    expect(removed(DRAFT, ["hello", "choose"]).flow.start).toBe("buyers");
  });
  it("keeps at least one node", () => {
    expect(removed(DRAFT, Object.keys(DRAFT.flow.nodes))).toBe(DRAFT);
    expect(removed(DRAFT, ["not there"])).toBe(DRAFT);
  });
});

describe("renaming", () => {
  it("keeps the order, the start, the place and what leads there", () => {
    const next = renamed(renamed(DRAFT, "hello", "greeting"), "bye", "end");
    expect(Object.keys(next.flow.nodes)).toEqual(["greeting", "choose", "buyers", "end"]);
    expect([next.flow.start, next.layout.greeting, nextOf(next, "choose")]).toEqual(["greeting", { x: 0, y: 0 }, ["buyers", "end", "end"]]);
  });
  it("refuses names that are taken or are none", () => {
    expect(renamed(DRAFT, "hello", "bye")).toBe(DRAFT);
    expect(nameProblem(DRAFT.flow, "hello", "Not so")).toBeDefined();
    expect(nameProblem(DRAFT.flow, "hello", NOWHERE)).toBeDefined();
    expect(nameProblem(DRAFT.flow, "hello", "hello")).toBeUndefined();
  });
});

describe("copying", () => {
  it("pastes nodes that lead to each other's copies, and otherwise where they led", () => {
    const { draft, ids } = pasted(DRAFT, copied(DRAFT, ["hello", "choose"]));
    expect(ids).toEqual(["hello_2", "choose_2"]);
    expect(nextOf(draft, "hello_2")).toEqual(["choose_2"]);
    expect(nextOf(draft, "choose_2")).toEqual(["buyers", "bye", "bye"]);
    expect(draft.layout.hello_2).toEqual({ x: 40, y: 40 });
    expect(draft.flow.start).toBe("hello");
  });
  it("leaves open in another flow what is not there", () => {
    const other: Draft = { flow: { start: "end", nodes: { end: { kind: "hangup" } } }, layout: {} };
    const { draft } = pasted(other, copied(DRAFT, ["choose"]));
    expect(nextOf(draft, "choose")).toEqual([NOWHERE, NOWHERE, NOWHERE]);
  });
});

it("connects, moves and begins elsewhere, and changes nothing where nothing is there", () => {
  expect(nextOf(connected(DRAFT, "choose", "branches.2", "hello"), "choose")).toEqual(["buyers", "hello", "bye"]);
  expect(connected(DRAFT, "not there", "next", "bye")).toBe(DRAFT);
  expect(moved(DRAFT, { hello: { x: 0, y: 0 } })).toBe(DRAFT);
  expect(moved(DRAFT, { bye: { x: 7, y: 9 }, ghost: { x: 1, y: 1 } }).layout).toEqual({ ...DRAFT.layout, bye: { x: 7, y: 9 } });
  expect(startedAt(DRAFT, "choose").flow.start).toBe("choose");
  expect(startedAt(DRAFT, "ghost")).toBe(DRAFT);
});

it("knows the fields that nodes capture", () => {
  expect(capturedFields(DRAFT.flow)).toEqual(["choice"]);
});
