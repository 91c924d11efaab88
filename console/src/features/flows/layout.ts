/** Where nodes are drawn that nobody has placed, and everything after "tidy". Pure. */
import { Graph, layout as arrange } from "@dagrejs/dagre";
import { exits, type Flow, type FlowNode, type Spot } from "./flow";

export const WIDTH = 236;
const HEAD = 46;
const SUMMARY = 42;
const ROW = 28;
const FOOT = 8;
const BESIDE = 40;
const BETWEEN_RANKS = 70;
const BETWEEN_NODES = 32;

/** How tall a node is drawn. */
export function heightOf(node: FlowNode): number {
  const rows = Math.max(exits(node).length, 0);
  return HEAD + SUMMARY + rows * ROW + FOOT;
}

/** All nodes in columns from left to right, in the order of their exits. */
export function tidied(flow: Flow): Record<string, Spot> {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", ranksep: BETWEEN_RANKS, nodesep: BETWEEN_NODES, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  const names = [flow.start, ...Object.keys(flow.nodes).filter((id) => id !== flow.start)];
  for (const id of names) {
    const node = flow.nodes[id];
    if (node !== undefined) graph.setNode(id, { width: WIDTH, height: heightOf(node) });
  }
  for (const id of names) {
    const node = flow.nodes[id];
    if (node === undefined) continue;
    for (const exit of exits(node)) if (exit.next in flow.nodes) graph.setEdge(id, exit.next, {}, exit.name);
  }
  arrange(graph);
  const turn = isUpsideDown(flow, (id) => graph.node(id).y ?? 0) ? -1 : 1;
  return Object.fromEntries(
    names.filter((id) => id in flow.nodes).map((id) => {
      const { x = 0, y = 0, height = 0 } = graph.node(id);
      return [id, { x: Math.round(x - WIDTH / 2), y: Math.round(turn * y - height / 2) }];
    }),
  );
}

/** Whether later exits lead further up more often than further down: dagre knows no order of exits. */
function isUpsideDown(flow: Flow, y: (id: string) => number): boolean {
  let up = 0;
  for (const node of Object.values(flow.nodes)) {
    const ways = exits(node).filter((exit) => exit.next in flow.nodes);
    ways.forEach((exit, place) => {
      const before = ways[place - 1];
      if (before !== undefined && before.next !== exit.next) up += Math.sign(y(before.next) - y(exit.next));
    });
  }
  return up > 0;
}

/** Where every node is drawn: where it was put, else where tidying would put it, aside of the others. */
export function placed(flow: Flow, layout: Readonly<Record<string, Spot>>): Record<string, Spot> {
  const missing = Object.keys(flow.nodes).filter((id) => layout[id] === undefined);
  if (missing.length === 0) return { ...layout };
  const tidy = tidied(flow);
  const known = Object.values(layout);
  const lowest = missing.length === Object.keys(flow.nodes).length ? 0 : Math.max(...known.map((spot) => spot.y)) + 240;
  return Object.fromEntries(
    Object.keys(flow.nodes).map((id) => {
      const spot = tidy[id] ?? { x: 0, y: 0 };
      return [id, layout[id] ?? { x: spot.x, y: spot.y + lowest }];
    }),
  );
}

/** Where a new node goes: right of the one that leads to it, below what is there already. */
export function beside(flow: Flow, layout: Readonly<Record<string, Spot>>, after: string | undefined): Spot {
  const spots = placed(flow, layout);
  const from = after === undefined ? undefined : spots[after];
  if (from === undefined) {
    const all = Object.values(spots);
    return { x: Math.min(0, ...all.map((spot) => spot.x)), y: Math.max(-240, ...all.map((spot) => spot.y)) + 240 };
  }
  const spot = { x: from.x + WIDTH + BETWEEN_RANKS, y: from.y };
  const covers = (other: [string, Spot]) => {
    const node = flow.nodes[other[0]];
    const height = node === undefined ? 0 : heightOf(node);
    return Math.abs(other[1].x - spot.x) < WIDTH && spot.y < other[1].y + height + BESIDE && other[1].y < spot.y + 140;
  };
  for (let look = 0; look < Object.keys(spots).length; look += 1) {
    const under = Object.entries(spots).find(covers);
    if (under === undefined) break;
    const node = flow.nodes[under[0]];
    spot.y = under[1].y + (node === undefined ? 0 : heightOf(node)) + BESIDE;
  }
  return spot;
}
