import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo } from "react";
import { count } from "../../ui/format";
import classes from "./Flow.module.css";
import { exits, type FlowNode } from "./flow";
import { kindOf } from "./nodes";
import type { NodeKind } from "./nodes/kind";

export type StepNode = Node<
  {
    node: FlowNode;
    tone: NodeKind<FlowNode["kind"]>["tone"];
    isStart: boolean;
    problems: number;
    lit: boolean;
    here: boolean;
    /** How many callers took each exit, or left the flow here. */
    taken: Readonly<Record<string, number>> | undefined;
    /** Names of the exits that lead nowhere, with spaces between. */
    open: string;
    readOnly: boolean;
  },
  "step"
>;

/** One node on the canvas: what it does, and a handle for each way on. */
export const StepCard = memo(function StepCard({ id, data, selected }: NodeProps<StepNode>) {
  const kind = kindOf(data.node.kind);
  const open = new Set(data.open.split(" "));
  return (
    <div
      className={classes.step}
      data-tone={kind.tone}
      data-chosen={selected || undefined}
      data-lit={data.lit || undefined}
      data-here={data.here || undefined}
      data-bad={data.problems > 0 || undefined}
    >
      <Handle type="target" position={Position.Left} className={classes.in} isConnectable={!data.readOnly} />
      <div className={classes.stepHead}>
        <span className={classes.stepIcon} aria-hidden>
          <kind.icon size={16} stroke={1.8} />
        </span>
        <span className={classes.stepName}>{id}</span>
        {data.isStart && <span className={classes.startMark}>Start</span>}
        {data.problems > 0 && (
          <span className={classes.badMark} title={`${data.problems} to mend`}>
            {data.problems}
          </span>
        )}
      </div>
      <p className={classes.stepSummary}>{kind.summary(data.node)}</p>
      {exits(data.node).map((exit) => (
        <div key={exit.name} className={classes.exit} data-open={open.has(exit.name) || undefined}>
          {data.taken !== undefined && <span className={classes.taken}>{count(data.taken[exit.name] ?? 0)}</span>}
          <span>{exit.label}</span>
          <Handle type="source" position={Position.Right} id={exit.name} className={classes.out} isConnectable={!data.readOnly} />
        </div>
      ))}
      {data.taken !== undefined && exits(data.node).length === 0 && (
        <div className={classes.exit}>
          <span className={classes.taken}>{count(data.taken[data.node.kind] ?? 0)}</span>
          <span>callers</span>
        </div>
      )}
    </div>
  );
});
