/** What a flow is made of on the canvas: its nodes, their exits, and where they are drawn. Pure. */
import type { Shapes } from "../../api/client";

export type Flow = Shapes["FlowInput"];
export type FlowNode = Flow["nodes"][string];
export type Kind = FlowNode["kind"];
export type NodeOf<K extends Kind> = Extract<FlowNode, { kind: K }>;
export type Spot = Shapes["SpotInput"];
export type Rule = Shapes["CaseInput"]["rule"];

/** A flow while it is edited. */
export interface Draft {
  flow: Flow;
  layout: Readonly<Record<string, Spot>>;
}

/** One way on from a node; `name` is what the server calls it, such as `next` or `branches.1`. */
export interface Exit {
  name: string;
  label: string;
  next: string;
}

/** Where an exit leads that is not connected; no node may be called so. */
export const NOWHERE = "nowhere";
export const ID = /^[a-z0-9_]{1,40}$/;

/** Whether an exit leads to a node of the flow. */
export function isConnected(flow: Flow, next: string): boolean {
  return next in flow.nodes;
}

/** Every way on from a node, in the order in which the server counts them; none where it leaves the flow. */
export function exits(node: FlowNode): Exit[] {
  switch (node.kind) {
    case "say":
    case "play":
    case "set":
      return [{ name: "next", label: "Then", next: node.next }];
    case "menu":
      return [
        ...Object.entries(node.branches).map(([key, next]) => ({ name: `branches.${key}`, label: `Key ${key}`, next })),
        { name: "no_input", label: "No key", next: node.no_input },
        ...(node.invalid == null ? [] : [{ name: "invalid", label: "Wrong key", next: node.invalid }]),
      ];
    case "collect":
      return [
        { name: "next", label: "Entered", next: node.next },
        { name: "failed", label: "Failed", next: node.failed },
      ];
    case "lookup":
      return [
        { name: "next", label: "Answered", next: node.next },
        { name: "failed", label: "Failed", next: node.failed },
      ];
    case "branch":
      return [
        ...node.cases.map((one, place) => ({ name: `cases.${place}`, label: `Case ${place + 1}`, next: one.next })),
        { name: "otherwise", label: "Otherwise", next: node.otherwise },
      ];
    case "hours":
      return [
        { name: "open", label: "Open", next: node.open },
        { name: "closed", label: "Closed", next: node.closed },
      ];
    case "split":
      return node.shares.map((one, place) => ({ name: `shares.${place}`, label: `${one.percent}%`, next: one.next }));
    case "voicemail":
    case "route":
    case "hangup":
      return [];
  }
}

/** The node with one exit leading elsewhere; the same node where it has no such exit. */
export function withExit(node: FlowNode, name: string, next: string): FlowNode {
  const [part, key] = name.split(".");
  switch (node.kind) {
    case "say":
    case "play":
    case "set":
      return name === "next" ? { ...node, next } : node;
    case "menu":
      if (part === "branches" && key !== undefined) return { ...node, branches: { ...node.branches, [key]: next } };
      if (name === "no_input") return { ...node, no_input: next };
      return name === "invalid" ? { ...node, invalid: next } : node;
    case "collect":
    case "lookup":
      if (name === "next") return { ...node, next };
      return name === "failed" ? { ...node, failed: next } : node;
    case "branch":
      if (name === "otherwise") return { ...node, otherwise: next };
      return { ...node, cases: node.cases.map((one, place) => (name === `cases.${place}` ? { ...one, next } : one)) };
    case "hours":
      if (name === "open") return { ...node, open: next };
      return name === "closed" ? { ...node, closed: next } : node;
    case "split":
      return { ...node, shares: node.shares.map((one, place) => (name === `shares.${place}` ? { ...one, next } : one)) };
    case "voicemail":
    case "route":
    case "hangup":
      return node;
  }
}

/** The node with every exit led through `to`. */
export function withExits(node: FlowNode, to: (next: string) => string): FlowNode {
  return exits(node).reduce((changed, exit) => withExit(changed, exit.name, to(exit.next)), node);
}

/** The fields that nodes capture, each once, in order. */
export function capturedFields(flow: Flow): string[] {
  const names = Object.values(flow.nodes).flatMap((node) => {
    switch (node.kind) {
      case "collect":
      case "set":
        return [node.field];
      case "menu":
        return node.field == null ? [] : [node.field];
      case "lookup":
        return Object.keys(node.read);
      default:
        return [];
    }
  });
  return [...new Set(names)].filter((name) => name !== "").sort();
}

/** What an exit of a node is called among all edges. */
export function edgeName(node: string, exit: string): string {
  return `${node}|${exit}`;
}
