import { ActionIcon, Button, Group, Input, NativeSelect, Stack, TextInput } from "@mantine/core";
import { IconPlus, IconWorldSearch, IconX } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { OneLine, Whole } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

const MOST_PAIRS = 20;

function Panel({ node, change, wrong, readOnly }: PanelProps<"lookup">) {
  return (
    <>
      <OneLine
        label="Address"
        note="Captured fields may stand in it, in braces"
        placeholder="https://crm.example.com/callers"
        value={node.url}
        onChange={(url) => change({ ...node, url })}
        error={wrong("url")}
        readOnly={readOnly}
      />
      <NativeSelect
        label="Method"
        size="sm"
        data={["GET", "POST"]}
        value={node.method ?? "GET"}
        disabled={readOnly}
        onChange={(event) => change({ ...node, method: event.currentTarget.value as "GET" | "POST" })}
      />
      <PairsField label="Sends" names={["Name", "Value"]} pairs={node.send ?? {}} onChange={(send) => change({ ...node, send })} error={wrong("send")} readOnly={readOnly} />
      <PairsField label="Reads from the answer" names={["Field", "Path"]} pairs={node.read} onChange={(read) => change({ ...node, read })} error={wrong("read")} readOnly={readOnly} />
      <Whole label="Waits at most" suffix=" ms" min={50} max={3000} value={node.timeout_ms ?? 1000} onChange={(timeout_ms) => change({ ...node, timeout_ms })} error={wrong("timeout_ms")} readOnly={readOnly} />
    </>
  );
}

/** Names with values; the order is kept. */
function PairsField(props: {
  label: string;
  names: readonly [string, string];
  pairs: Readonly<Record<string, string>>;
  onChange: (pairs: Record<string, string>) => void;
  error: string | undefined;
  readOnly: boolean;
}) {
  const list = Object.entries(props.pairs);
  const set = (next: (readonly [string, string])[]) => props.onChange(Object.fromEntries(next));
  return (
    <Input.Wrapper label={props.label} labelElement="div" error={props.error}>
      <Stack gap={4} mt={4}>
        {list.map(([name, value], place) => (
          <Group key={place} gap={4} wrap="nowrap">
            {[name, value].map((text, part) => (
              <TextInput
                key={part}
                size="xs"
                flex={1}
                miw={0}
                aria-label={`${props.names[part]} ${place + 1}`}
                placeholder={props.names[part]}
                value={text}
                readOnly={props.readOnly}
                onChange={(event) => {
                  const typed = event.currentTarget.value;
                  set(list.map((one, at) => (at !== place ? one : part === 0 ? [typed, one[1]] : [one[0], typed])));
                }}
              />
            ))}
            {!props.readOnly && (
              <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`Remove ${name}`} onClick={() => set(list.filter((_, at) => at !== place))}>
                <IconX size={13} />
              </ActionIcon>
            )}
          </Group>
        ))}
        {!props.readOnly && list.length < MOST_PAIRS && (
          <div>
            <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => set([...list, [freshName(props.pairs), ""]])}>
              Add
            </Button>
          </div>
        )}
      </Stack>
    </Input.Wrapper>
  );
}

function freshName(pairs: Readonly<Record<string, string>>): string {
  let number = 1;
  while (`field_${number}` in pairs) number += 1;
  return `field_${number}`;
}

export const lookup: NodeKind<"lookup"> = {
  label: "Look up",
  hint: "Ask your own service",
  icon: IconWorldSearch,
  tone: "decide",
  make: () => ({ kind: "lookup", url: "", read: { tier: "customer.tier" }, next: NOWHERE, failed: NOWHERE }),
  summary: (node) => (node.url === "" ? "No address yet" : node.url.replace(/^https?:\/\//, "")),
  Panel,
};
