/** Changes of a flow on the canvas: pure, a draft in and a draft out. */
import { type Draft, exits, type Flow, type FlowNode, ID, isConnected, NOWHERE, type Spot, withExit, withExits } from "./flow";

/** Copied nodes, with where they were. */
export interface Clip {
  nodes: Readonly<Record<string, FlowNode>>;
  layout: Readonly<Record<string, Spot>>;
}

export const PASTED_BY = 40;

/** A name like `base` that no node has: `menu`, then `menu_2`, `menu_3` and so on. */
export function freshId(taken: Readonly<Record<string, unknown>>, base: string): string {
  const stem = base.replace(/_[0-9]+$/, "").slice(0, 34);
  if (!(stem in taken) && stem !== NOWHERE) return stem;
  let number = 2;
  while (`${stem}_${number}` in taken) number += 1;
  return `${stem}_${number}`;
}

/** The draft with one node more, and what it is called. */
export function added(draft: Draft, node: FlowNode, spot: Spot): { draft: Draft; id: string } {
  const id = freshId(draft.flow.nodes, node.kind);
  return { draft: withNodes(draft, { ...draft.flow.nodes, [id]: node }, { ...draft.layout, [id]: whole(spot) }), id };
}

/** The draft with a node that an exit of another leads to: its first that leads nowhere. */
export function addedAfter(draft: Draft, after: string | undefined, node: FlowNode, spot: Spot): { draft: Draft; id: string } {
  const more = added(draft, node, spot);
  const before = after === undefined ? undefined : draft.flow.nodes[after];
  const open = before === undefined ? undefined : exits(before).find((exit) => !isConnected(draft.flow, exit.next));
  if (after === undefined || open === undefined) return more;
  return { draft: connected(more.draft, after, open.name, more.id), id: more.id };
}

/** An exit leads to another node; `NOWHERE` takes the connection away. */
export function connected(draft: Draft, from: string, exit: string, to: string): Draft {
  const node = draft.flow.nodes[from];
  if (node === undefined) return draft;
  return changed(draft, from, withExit(node, exit, to));
}

/** A node as it is now. */
export function changed(draft: Draft, id: string, node: FlowNode): Draft {
  if (draft.flow.nodes[id] === node) return draft;
  return withNodes(draft, { ...draft.flow.nodes, [id]: node }, draft.layout);
}

/** Without some nodes; exits that led there lead nowhere. A flow keeps at least one node. */
export function removed(draft: Draft, ids: readonly string[]): Draft {
  const gone = new Set(ids);
  const left = Object.entries(draft.flow.nodes).filter(([id]) => !gone.has(id));
  if (left.length === 0 || left.length === Object.keys(draft.flow.nodes).length) return draft;
  const nodes = Object.fromEntries(
    left.map(([id, node]) => [id, withExits(node, (next) => (gone.has(next) ? NOWHERE : next))]),
  );
  const layout = Object.fromEntries(Object.entries(draft.layout).filter(([id]) => !gone.has(id)));
  return { flow: { ...draft.flow, nodes, start: newStart(draft.flow, gone, left) }, layout };
}

/** Where a flow begins whose start is taken away: where the start led, else anywhere. */
function newStart(flow: Flow, gone: ReadonlySet<string>, left: readonly (readonly [string, FlowNode])[]): string {
  if (!gone.has(flow.start)) return flow.start;
  const start = flow.nodes[flow.start];
  const onward = start === undefined ? undefined : exits(start).find((exit) => exit.next in flow.nodes && !gone.has(exit.next));
  return onward?.next ?? left[0]?.[0] ?? flow.start;
}

/** Why a node cannot be called so; undefined where it can. */
export function nameProblem(flow: Flow, id: string, name: string): string | undefined {
  if (!ID.test(name)) return "Use small letters, digits and _, at most 40";
  if (name === NOWHERE || (name !== id && name in flow.nodes)) return "Another node is called so";
  return undefined;
}

/** A node under another name, with everything that leads to it. The draft itself where the name is not free. */
export function renamed(draft: Draft, id: string, name: string): Draft {
  if (id === name || nameProblem(draft.flow, id, name) !== undefined) return draft;
  const to = (next: string) => (next === id ? name : next);
  const nodes = Object.fromEntries(
    Object.entries(draft.flow.nodes).map(([each, node]) => [to(each), withExits(node, to)]),
  );
  const layout = Object.fromEntries(Object.entries(draft.layout).map(([each, spot]) => [to(each), spot]));
  return { flow: { ...draft.flow, nodes, start: to(draft.flow.start) }, layout };
}

/** The flow begins at another node. */
export function startedAt(draft: Draft, id: string): Draft {
  return id in draft.flow.nodes ? { ...draft, flow: { ...draft.flow, start: id } } : draft;
}

/** Nodes drawn elsewhere. */
export function moved(draft: Draft, spots: Readonly<Record<string, Spot>>): Draft {
  const there = Object.fromEntries(
    Object.entries(spots)
      .filter(([id]) => id in draft.flow.nodes)
      .map(([id, spot]) => [id, whole(spot)]),
  );
  const same = Object.entries(there).every(([id, spot]) => draft.layout[id]?.x === spot.x && draft.layout[id]?.y === spot.y);
  return same ? draft : { ...draft, layout: { ...draft.layout, ...there } };
}

/** What is copied of the chosen nodes. */
export function copied(draft: Draft, ids: readonly string[]): Clip {
  const nodes: Record<string, FlowNode> = {};
  const layout: Record<string, Spot> = {};
  for (const id of ids) {
    const [node, spot] = [draft.flow.nodes[id], draft.layout[id]];
    if (node !== undefined) nodes[id] = node;
    if (spot !== undefined) layout[id] = spot;
  }
  return { nodes, layout };
}

/** Copied nodes once more, beside where they were. What leads to a copied node leads to its copy; other
 * exits lead where they led, or nowhere where that is not in this flow. */
export function pasted(draft: Draft, clip: Clip): { draft: Draft; ids: string[] } {
  const taken: Record<string, unknown> = { ...draft.flow.nodes };
  const names: Record<string, string> = {};
  for (const id of Object.keys(clip.nodes)) {
    const name = freshId(taken, id);
    taken[name] = true;
    names[id] = name;
  }
  const to = (next: string) => names[next] ?? (next in draft.flow.nodes ? next : NOWHERE);
  const nodes: Record<string, FlowNode> = { ...draft.flow.nodes };
  const layout: Record<string, Spot> = { ...draft.layout };
  for (const [id, name] of Object.entries(names)) {
    const [node, spot] = [clip.nodes[id], clip.layout[id]];
    if (node !== undefined) nodes[name] = withExits(node, to);
    if (spot !== undefined) layout[name] = { x: spot.x + PASTED_BY, y: spot.y + PASTED_BY };
  }
  return { draft: withNodes(draft, nodes, layout), ids: Object.values(names) };
}

function withNodes(draft: Draft, nodes: Flow["nodes"], layout: Draft["layout"]): Draft {
  return { flow: { ...draft.flow, nodes }, layout };
}

function whole(spot: Spot): Spot {
  return { x: Math.round(spot.x), y: Math.round(spot.y) };
}
