import "@xyflow/react/dist/style.css";
import { Menu, useComputedColorScheme } from "@mantine/core";
import {
  Background,
  type Connection,
  Controls,
  type Edge,
  type EdgeChange,
  type FinalConnectionState,
  MarkerType,
  MiniMap,
  type NodeChange,
  Panel,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import { type DragEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { DRAGGED } from "./dragged";
import classes from "./Flow.module.css";
import { type Draft, edgeName, exits, type FlowNode, type Kind, type Spot } from "./flow";
import { heightOf, placed, WIDTH } from "./layout";
import { KINDS } from "./nodes";
import { StepCard, type StepNode } from "./StepCard";


const TYPES = { step: StepCard };
const FIT = { padding: 0.12, maxZoom: 1 };
const LEGIBLE = 0.72;
const MARGIN = 48;
const THICKER = 3;

/** How many callers took an exit: by node, then by the exit's name. */
export type Taken = ReadonlyMap<string, number>;

interface CanvasProps {
  draft: Draft;
  chosen: readonly string[];
  chosenEdges: readonly string[];
  onChoose: (nodes: readonly string[], edges: readonly string[]) => void;
  onOpen: () => void;
  onConnect: (from: string, exit: string, to: string) => void;
  onMove: (spots: Readonly<Record<string, Spot>>) => void;
  onAdd: (kind: Kind, spot: Spot, from?: { node: string; exit: string }) => void;
  problems: ReadonlyMap<string, number>;
  /** Nodes and `node|exit` of the path of a trial. */
  lit: ReadonlySet<string>;
  here: string | undefined;
  taken: Taken;
  readOnly: boolean;
  /** Changes whenever everything should come into view. */
  fitted: number;
  children?: ReactNode;
}

/** The flow as a picture that can be changed. */
export function Canvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <Inside {...props} />
    </ReactFlowProvider>
  );
}

function Inside(props: CanvasProps) {
  const { draft, chosen, chosenEdges, problems, lit, here, taken, readOnly, onChoose, onMove, onConnect } = props;
  const scheme = useComputedColorScheme("light");
  const canvas = useReactFlow<StepNode>();
  const frame = useRef<HTMLDivElement>(null);
  const wanted = useMemo(() => stepsOf(draft, { chosen, problems, lit, here, taken, readOnly }), [draft, chosen, problems, lit, here, taken, readOnly]);
  const [nodes, setNodes] = useState<StepNode[]>(wanted);
  const [dropped, setDropped] = useState<{ x: number; y: number; node: string; exit: string }>();
  useEffect(() => setNodes((before) => keptMeasures(before, wanted)), [wanted]);
  const edges = useMemo(() => edgesOf(draft, { chosenEdges, lit, taken }), [draft, chosenEdges, lit, taken]);
  const { fitted } = props;
  useEffect(() => {
    if (fitted === 0) return;
    const soon = requestAnimationFrame(() => void canvas.fitView({ ...FIT, duration: 250 }));
    return () => cancelAnimationFrame(soon);
  }, [fitted, canvas]);

  // A trial is followed to where the caller stands.
  useEffect(() => {
    const stands = here === undefined ? undefined : canvas.getNode(here);
    if (stands === undefined) return;
    const middle = stands.position.y + heightOf(stands.data.node) / 2;
    void canvas.setCenter(stands.position.x + WIDTH / 2, middle, { zoom: canvas.getZoom(), duration: 300 });
  }, [here, canvas]);

  const nodesChanged = useCallback(
    (changes: NodeChange<StepNode>[]) => {
      const spots: Record<string, Spot> = {};
      const selected = new Set(chosen);
      let selects = false;
      for (const change of changes) {
        if (change.type === "position" && change.position !== undefined && change.dragging !== true) spots[change.id] = change.position;
        if (change.type === "select") {
          selects = true;
          if (change.selected) selected.add(change.id);
          else selected.delete(change.id);
        }
      }
      setNodes((before) => applied(before, changes));
      if (selects) onChoose([...selected], chosenEdges);
      if (Object.keys(spots).length > 0 && !readOnly) onMove(spots);
    },
    [chosen, chosenEdges, onChoose, onMove, readOnly],
  );
  const edgesChanged = useCallback(
    (changes: EdgeChange[]) => {
      const selected = new Set(chosenEdges);
      for (const change of changes)
        if (change.type === "select") {
          if (change.selected) selected.add(change.id);
          else selected.delete(change.id);
        }
      onChoose(chosen, [...selected]);
    },
    [chosen, chosenEdges, onChoose],
  );
  const connect = useCallback(
    (made: Connection) => {
      if (made.sourceHandle !== null) onConnect(made.source, made.sourceHandle, made.target);
    },
    [onConnect],
  );
  const connectEnd = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      if (state.toNode !== null || state.fromNode === null || state.fromHandle?.id == null || state.fromHandle.type !== "source") return;
      const point = "changedTouches" in event ? event.changedTouches[0] : event;
      if (point !== undefined) setDropped({ x: point.clientX, y: point.clientY, node: state.fromNode.id, exit: state.fromHandle.id });
    },
    [],
  );
  // A long flow begins at its start, large enough to be read; a short one is seen whole.
  const show = () => {
    void canvas.fitView(FIT).then(() => {
      const start = canvas.getNode(draft.flow.start);
      if (canvas.getZoom() >= LEGIBLE || start === undefined) return;
      const height = frame.current?.clientHeight ?? 0;
      void canvas.setViewport({
        x: MARGIN - start.position.x * LEGIBLE,
        y: height / 2 - (start.position.y + heightOf(start.data.node) / 2) * LEGIBLE,
        zoom: LEGIBLE,
      });
    });
  };
  const drop = (event: DragEvent) => {
    const kind = event.dataTransfer.getData(DRAGGED);
    if (!(kind in KINDS)) return;
    event.preventDefault();
    const at = canvas.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    props.onAdd(kind as Kind, { x: at.x - WIDTH / 2, y: at.y - 24 });
  };
  return (
    <div
      ref={frame}
      className={classes.canvas}
      role="region"
      aria-label="Canvas of the flow"
      onDrop={readOnly ? undefined : drop}
      onDragOver={(event) => {
        if (event.dataTransfer.types.includes(DRAGGED)) event.preventDefault();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.target as HTMLElement).closest(".react-flow__node") !== null) props.onOpen();
      }}
    >
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={TYPES}
        onNodesChange={nodesChanged}
        onEdgesChange={edgesChanged}
        onConnect={connect}
        onConnectEnd={connectEnd}
        nodesDraggable={!readOnly}
        nodesConnectable={!readOnly}
        deleteKeyCode={null}
        colorMode={scheme}
        onInit={show}
        minZoom={0.15}
        maxZoom={1.6}
        snapToGrid
        snapGrid={[10, 10]}
        connectionRadius={28}
        ariaLabelConfig={{
          "node.a11yDescription.default":
            "Press Enter to choose the node and open its panel, arrow keys to move it, and Delete to remove it.",
        }}
      >
        <Background gap={20} size={1} />
        <Controls showInteractive={false} fitViewOptions={FIT} />
        <MiniMap pannable zoomable ariaLabel="Map of the whole flow" className={classes.minimap} nodeClassName={(node) => classes[`mini-${String(node.data.tone)}`] ?? ""} />
        <Panel position="top-left">{props.children}</Panel>
      </ReactFlow>
      <Menu opened={dropped !== undefined} onClose={() => setDropped(undefined)} position="bottom-start" withinPortal trapFocus>
        <Menu.Target>
          <button
            type="button"
            tabIndex={-1}
            aria-label="Add a node here"
            className={classes.dropped}
            style={{ left: dropped?.x ?? 0, top: dropped?.y ?? 0 }}
          />
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Lead to a new node</Menu.Label>
          {Object.entries(KINDS).map(([kind, one]) => (
            <Menu.Item
              key={kind}
              leftSection={<one.icon size={16} stroke={1.7} />}
              onClick={() => {
                if (dropped === undefined) return;
                const at = canvas.screenToFlowPosition({ x: dropped.x, y: dropped.y });
                props.onAdd(kind as Kind, { x: at.x, y: at.y - 24 }, { node: dropped.node, exit: dropped.exit });
              }}
            >
              {one.label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

/** Changes of the picture alone: where a node is while it is dragged, and how large it came out. */
function applied(nodes: StepNode[], changes: NodeChange<StepNode>[]): StepNode[] {
  const byId = new Map<string, NodeChange<StepNode>[]>();
  for (const change of changes) if ("id" in change) byId.set(change.id, [...(byId.get(change.id) ?? []), change]);
  return nodes.map((node) => {
    let next = node;
    for (const change of byId.get(node.id) ?? []) {
      if (change.type === "position" && change.position !== undefined)
        next = { ...next, position: change.position, ...(change.dragging === undefined ? {} : { dragging: change.dragging }) };
      if (change.type === "dimensions" && change.dimensions !== undefined) next = { ...next, measured: change.dimensions };
    }
    return next;
  });
}

function keptMeasures(before: StepNode[], wanted: StepNode[]): StepNode[] {
  const known = new Map(before.map((node) => [node.id, node]));
  return wanted.map((node) => {
    const old = known.get(node.id);
    if (old === undefined) return node;
    const dragged = old.dragging === true ? { position: old.position, dragging: true } : {};
    return { ...node, ...(old.measured === undefined ? {} : { measured: old.measured }), ...dragged };
  });
}

type Seen = Pick<CanvasProps, "chosen" | "problems" | "lit" | "here" | "taken" | "readOnly">;

function stepsOf(draft: Draft, seen: Seen): StepNode[] {
  const spots = placed(draft.flow, draft.layout);
  const chosen = new Set(seen.chosen);
  return Object.entries(draft.flow.nodes).map(([id, node]) => ({
    id,
    type: "step",
    position: spots[id] ?? { x: 0, y: 0 },
    selected: chosen.has(id),
    initialWidth: WIDTH,
    initialHeight: heightOf(node),
    ariaLabel: `${KINDS[node.kind].label} ${id}${(seen.problems.get(id) ?? 0) > 0 ? ", with problems" : ""}`,
    data: {
      node,
      tone: KINDS[node.kind].tone,
      isStart: draft.flow.start === id,
      problems: seen.problems.get(id) ?? 0,
      lit: seen.lit.has(id),
      here: seen.here === id,
      taken: takenOf(id, node, seen.taken),
      open: exits(node)
        .filter((exit) => !(exit.next in draft.flow.nodes))
        .map((exit) => exit.name)
        .join(" "),
      readOnly: seen.readOnly,
    },
  }));
}

/** The callers of each exit, by its name; of a node that ends the flow, by its kind. */
function takenOf(id: string, node: FlowNode, taken: Taken): Readonly<Record<string, number>> | undefined {
  if (taken.size === 0) return undefined;
  const names = exits(node).length === 0 ? [node.kind] : exits(node).map((exit) => exit.name);
  return Object.fromEntries(names.map((name) => [name, taken.get(edgeName(id, name)) ?? 0]));
}

function edgesOf(draft: Draft, seen: { chosenEdges: readonly string[]; lit: ReadonlySet<string>; taken: Taken }): Edge[] {
  const chosen = new Set(seen.chosenEdges);
  const most = Math.max(0, ...seen.taken.values());
  return Object.entries(draft.flow.nodes).flatMap(([id, node]) =>
    exits(node)
      .filter((exit) => exit.next in draft.flow.nodes)
      .map((exit) => {
        const name = edgeName(id, exit.name);
        const callers = seen.taken.get(name);
        return {
          id: name,
          source: id,
          sourceHandle: exit.name,
          target: exit.next,
          selected: chosen.has(name),
          ariaLabel: `${id}, ${exit.label}, leads to ${exit.next}${callers === undefined ? "" : `: ${callers} callers`}`,
          className: seen.lit.has(name) ? classes.lit : undefined,
          style: callers === undefined || most === 0 ? undefined : { strokeWidth: 1.5 + (callers / most) * THICKER },
          markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, markerUnits: "userSpaceOnUse" },
        };
      }),
  );
}
