import { IconPencil } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { OneLine } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

function Panel({ node, change, wrong, readOnly }: PanelProps<"set">) {
  return (
    <>
      <OneLine label="Field" value={node.field} onChange={(field) => change({ ...node, field })} error={wrong("field")} readOnly={readOnly} />
      <OneLine
        label="Value"
        note="May hold what was captured, in braces"
        value={node.value}
        onChange={(value) => change({ ...node, value })}
        error={wrong("value")}
        readOnly={readOnly}
      />
    </>
  );
}

export const set: NodeKind<"set"> = {
  label: "Set",
  hint: "Give a field a value",
  icon: IconPencil,
  tone: "decide",
  make: () => ({ kind: "set", field: "service", value: "general", next: NOWHERE }),
  summary: (node) => `${node.field} = ${node.value}`,
  Panel,
};
