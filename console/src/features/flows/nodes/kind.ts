import type { ComponentType } from "react";
import type { Kind, NodeOf } from "../flow";

/** What the panel of a kind is given. */
export interface PanelProps<K extends Kind> {
  node: NodeOf<K>;
  change: (node: NodeOf<K>) => void;
  /** What is wrong in a field of the node, such as `text`, or inside it. */
  wrong: (field: string) => string | undefined;
  /** Fields that the flow captures. */
  fields: readonly string[];
  readOnly: boolean;
}

/** One kind of node: how it is called, drawn, begun and edited. */
export interface NodeKind<K extends Kind> {
  label: string;
  hint: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  tone: "talk" | "ask" | "decide" | "end";
  make: () => NodeOf<K>;
  /** What the node does, in a line or two on the canvas. */
  summary: (node: NodeOf<K>) => string;
  Panel: ComponentType<PanelProps<K>>;
}
