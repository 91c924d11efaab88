import { expect, it } from "vitest";
import type { Flow } from "./flow";
import { beside, heightOf, placed, tidied, WIDTH } from "./layout";
import { TEMPLATES } from "./templates";

function overlaps(flow: Flow, spots: Record<string, { x: number; y: number }>): string[] {
  const boxes = Object.entries(flow.nodes).map(([id, node]) => ({ id, ...(spots[id] ?? { x: 0, y: 0 }), height: heightOf(node) }));
  return boxes.flatMap((one, place) =>
    boxes
      .slice(place + 1)
      .filter((two) => Math.abs(one.x - two.x) < WIDTH && one.y < two.y + two.height && two.y < one.y + one.height)
      .map((two) => `${one.id} ${two.id}`),
  );
}

it("draws no node over another, and what follows to the right", () => {
  for (const { flow } of TEMPLATES) {
    const spots = tidied(flow);
    expect(Object.keys(spots).sort()).toEqual(Object.keys(flow.nodes).sort());
    expect(overlaps(flow, spots)).toEqual([]);
    const start = spots[flow.start];
    expect(Math.min(...Object.values(spots).map((spot) => spot.x))).toBe(start?.x);
  }
});

it("draws earlier exits above later ones", () => {
  const { flow } = TEMPLATES.find((one) => one.key === "plumbing") ?? { flow: { start: "", nodes: {} } };
  const spots = tidied(flow);
  const heights = ["emergency", "heater", "other"].map((id) => spots[id]?.y ?? 0);
  expect(heights).toEqual([...heights].sort((left, right) => left - right));
});

it("leaves nodes where they were put", () => {
  const flow: Flow = { start: "a", nodes: { a: { kind: "say", text: "A", next: "b" }, b: { kind: "hangup" } } };
  expect(placed(flow, { a: { x: 5, y: 6 }, b: { x: 700, y: 8 } })).toEqual({ a: { x: 5, y: 6 }, b: { x: 700, y: 8 } });
  expect(placed(flow, { a: { x: 5, y: 6 } }).a).toEqual({ x: 5, y: 6 });
});

it("puts a new node beside the one that leads to it, over none", () => {
  const flow: Flow = { start: "a", nodes: { a: { kind: "say", text: "A", next: "b" }, b: { kind: "hangup" } } };
  const spots = tidied(flow);
  const spot = beside(flow, spots, "a");
  const more: Flow = { ...flow, nodes: { ...flow.nodes, c: { kind: "hangup" } } };
  expect(overlaps(more, { ...spots, c: spot })).toEqual([]);
  expect(spot.x).toBeGreaterThan(spots.a?.x ?? 0);
  expect(overlaps(more, { ...spots, c: beside(flow, spots, undefined) })).toEqual([]);
});
