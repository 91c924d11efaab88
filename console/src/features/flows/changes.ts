/** What differs between two flows, for people. Pure. */
import { exits, type Flow, type FlowNode } from "./flow";

export interface Change {
  node: string;
  what: "added" | "removed" | "changed" | "start";
  /** The names of what changed inside a node. */
  parts: string[];
}

/** Node by node: what publishing changes for callers. */
export function changesBetween(before: Flow | undefined, after: Flow): Change[] {
  const found: Change[] = [];
  if (before !== undefined && before.start !== after.start) found.push({ node: after.start, what: "start", parts: [] });
  for (const [id, node] of Object.entries(after.nodes)) {
    const old = before?.nodes[id];
    if (old === undefined) found.push({ node: id, what: "added", parts: [] });
    else {
      const parts = partsChanged(old, node);
      if (parts.length > 0) found.push({ node: id, what: "changed", parts });
    }
  }
  for (const id of Object.keys(before?.nodes ?? {}))
    if (!(id in after.nodes)) found.push({ node: id, what: "removed", parts: [] });
  return found;
}

function partsChanged(before: FlowNode, after: FlowNode): string[] {
  if (before.kind !== after.kind) return ["kind"];
  const [old, now] = [before as unknown as Record<string, unknown>, after as unknown as Record<string, unknown>];
  const ways = new Set(exits(before).concat(exits(after)).map((exit) => exit.name.split(".")[0]));
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((name) => !same(old[name], now[name]));
  return names.map((name) => (ways.has(name) ? `way on (${name})` : name));
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, each]) => [name, sorted(each)]),
  );
}
