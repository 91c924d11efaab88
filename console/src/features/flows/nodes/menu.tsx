import { Checkbox, Chip, Group, Input } from "@mantine/core";
import { IconDialpad } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { OneLine, Patience, PromptFields, promptTold } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "*", "#"] as const;

function Panel({ node, change, wrong, fields, readOnly }: PanelProps<"menu">) {
  const chosen = KEYS.filter((key) => key in node.branches);
  return (
    <>
      <PromptFields prompt={node.prompt} onChange={(prompt) => change({ ...node, prompt })} wrong={wrong} fields={fields} readOnly={readOnly} />
      <Input.Wrapper label="Keys" labelElement="div" error={wrong("branches")}>
        <Chip.Group
          multiple
          value={chosen}
          onChange={(keys) => {
            if (keys.length > 0) change({ ...node, branches: Object.fromEntries(keys.map((key) => [key, node.branches[key] ?? NOWHERE])) });
          }}
        >
          <Group gap={4} mt={4}>
            {KEYS.map((key) => (
              <Chip key={key} value={key} size="xs" radius="sm" disabled={readOnly}>
                {key}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
      </Input.Wrapper>
      <OneLine
        label="Keep the key in the field"
        placeholder="none"
        value={node.field ?? ""}
        onChange={(field) => change({ ...node, field: field === "" ? null : field })}
        error={wrong("field")}
        readOnly={readOnly}
      />
      <Checkbox
        label="Another way on for a wrong key"
        description="Without it, a wrong key goes on like no key"
        checked={node.invalid != null}
        disabled={readOnly}
        onChange={(event) => change({ ...node, invalid: event.currentTarget.checked ? NOWHERE : null })}
      />
      <Patience node={node} change={change} wrong={wrong} readOnly={readOnly} />
    </>
  );
}

export const menu: NodeKind<"menu"> = {
  label: "Menu",
  hint: "One key chooses the way",
  icon: IconDialpad,
  tone: "ask",
  make: () => ({
    kind: "menu",
    prompt: { kind: "say", text: "For sales, press 1. For anything else, press 2." },
    branches: { "1": NOWHERE, "2": NOWHERE },
    no_input: NOWHERE,
  }),
  summary: (node) => promptTold(node.prompt),
  Panel,
};
