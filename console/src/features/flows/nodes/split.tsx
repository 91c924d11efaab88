import { ActionIcon, Button, Group, NumberInput, Stack, Text } from "@mantine/core";
import { IconArrowsShuffle, IconPlus, IconX } from "@tabler/icons-react";
import { type NodeOf, NOWHERE } from "../flow";
import classes from "./Nodes.module.css";
import type { NodeKind, PanelProps } from "./kind";

type Share = NodeOf<"split">["shares"][number];
const MOST_SHARES = 10;

function Panel({ node, change, wrong, readOnly }: PanelProps<"split">) {
  const set = (shares: Share[]) => change({ ...node, shares });
  const problem = wrong("shares");
  return (
    <Stack gap={6}>
      <Text size="xs" c="dimmed">
        Chance chooses; the shares are out of 100 callers.
      </Text>
      {node.shares.map((share, place) => (
        <Group key={place} gap={6} wrap="nowrap">
          <NumberInput
            flex={1}
            aria-label={`Share ${place + 1}`}
            suffix=" %"
            min={1}
            max={100}
            allowDecimal={false}
            value={share.percent}
            readOnly={readOnly}
            onChange={(percent) => {
              if (typeof percent === "number") set(node.shares.map((one, at) => (at === place ? { ...one, percent } : one)));
            }}
          />
          {!readOnly && node.shares.length > 2 && (
            <ActionIcon variant="subtle" color="gray" aria-label={`Remove share ${place + 1}`} onClick={() => set(node.shares.filter((_, at) => at !== place))}>
              <IconX size={14} />
            </ActionIcon>
          )}
        </Group>
      ))}
      {!readOnly && (
        <Group gap={6}>
          {node.shares.length < MOST_SHARES && (
            <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => set([...node.shares, { percent: 1, next: NOWHERE }])}>
              Add a share
            </Button>
          )}
          <Button size="compact-xs" variant="default" onClick={() => set(even(node.shares))}>
            Make them even
          </Button>
        </Group>
      )}
      {problem !== undefined && <p className={classes.problem}>{problem}</p>}
    </Stack>
  );
}

/** As even as whole per cents can be. */
export function even(shares: readonly Share[]): Share[] {
  const each = Math.floor(100 / shares.length);
  const left = 100 - each * shares.length;
  return shares.map((share, place) => ({ ...share, percent: each + (place < left ? 1 : 0) }));
}

export const split: NodeKind<"split"> = {
  label: "Split",
  hint: "Chance, to compare two ways",
  icon: IconArrowsShuffle,
  tone: "decide",
  make: () => ({ kind: "split", shares: [50, 50].map((percent) => ({ percent, next: NOWHERE })) }),
  summary: (node) => `Chance: ${node.shares.map((share) => `${share.percent}%`).join(" / ")}`,
  Panel,
};
