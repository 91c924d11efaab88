import { Group, NativeSelect } from "@mantine/core";
import { IconForms } from "@tabler/icons-react";
import { type NodeOf, NOWHERE } from "../flow";
import { OneLine, Patience, PromptFields, promptTold, Tick, Whole } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

type Entry = NonNullable<NodeOf<"collect">["type"]>;

const ENTRIES: Record<Entry, string> = {
  digits: "Digits",
  zip: "ZIP (5 digits that exist)",
  date: "Date (MMDDYYYY)",
  phone: "Phone number (10 digits)",
  yes_no: "Yes or no (1 or 2)",
};
const FINISH = [
  { value: "#", label: "#" },
  { value: "*", label: "*" },
  { value: "", label: "No key" },
];

function Panel({ node, change, wrong, fields, readOnly }: PanelProps<"collect">) {
  return (
    <>
      <PromptFields prompt={node.prompt} onChange={(prompt) => change({ ...node, prompt })} wrong={wrong} fields={fields} readOnly={readOnly} />
      <OneLine label="Into the field" value={node.field} onChange={(field) => change({ ...node, field })} error={wrong("field")} readOnly={readOnly} />
      <NativeSelect
        label="What is entered"
        size="sm"
        data={Object.entries(ENTRIES).map(([value, label]) => ({ value, label }))}
        value={node.type ?? "digits"}
        error={wrong("type")}
        disabled={readOnly}
        onChange={(event) => change({ ...node, type: event.currentTarget.value as Entry })}
      />
      {(node.type ?? "digits") === "digits" && (
        <>
          <Group grow align="flex-start">
            <Whole label="At least" suffix=" digits" min={1} max={32} value={node.min_length ?? 1} onChange={(min_length) => change({ ...node, min_length })} error={wrong("min_length")} readOnly={readOnly} />
            <Whole label="At most" suffix=" digits" min={1} max={32} value={node.max_length ?? 10} onChange={(max_length) => change({ ...node, max_length })} error={wrong("max_length")} readOnly={readOnly} />
          </Group>
          <NativeSelect
            label="Ends with the key"
            size="sm"
            data={FINISH}
            value={node.finish_key ?? "#"}
            disabled={readOnly}
            onChange={(event) => change({ ...node, finish_key: event.currentTarget.value as "#" | "*" | "" })}
          />
        </>
      )}
      <Tick label="May be shared with bidders" value={node.shareable ?? true} onChange={(shareable) => change({ ...node, shareable })} readOnly={readOnly} />
      <Patience node={node} change={change} wrong={wrong} readOnly={readOnly} />
    </>
  );
}

export const collect: NodeKind<"collect"> = {
  label: "Collect",
  hint: "Keys into a field",
  icon: IconForms,
  tone: "ask",
  make: () => ({
    kind: "collect",
    prompt: { kind: "say", text: "Please enter your five-digit ZIP code." },
    field: "zip",
    type: "zip",
    next: NOWHERE,
    failed: NOWHERE,
  }),
  summary: (node) => promptTold(node.prompt),
  Panel,
};
