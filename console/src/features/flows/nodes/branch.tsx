import { ActionIcon, Button, Group, Text } from "@mantine/core";
import { IconArrowDown, IconArrowsSplit2, IconArrowUp, IconPlus, IconX } from "@tabler/icons-react";
import { RuleBuilder } from "../../../ui/RuleBuilder";
import { freshLeaf, sentence } from "../../../ui/rules";
import { type NodeOf, NOWHERE } from "../flow";
import classes from "./Nodes.module.css";
import type { NodeKind, PanelProps } from "./kind";

type Case = NodeOf<"branch">["cases"][number];
const MOST_CASES = 50;

function Panel({ node, change, wrong, fields, readOnly }: PanelProps<"branch">) {
  const set = (cases: Case[]) => change({ ...node, cases });
  const swap = (place: number, other: number) => {
    const cases = [...node.cases];
    const [one, two] = [cases[place], cases[other]];
    if (one === undefined || two === undefined) return;
    cases[place] = two;
    cases[other] = one;
    set(cases);
  };
  return (
    <>
      <Text size="xs" c="dimmed">
        The first case that holds is taken.
      </Text>
      {node.cases.map((each, place) => (
        <section key={place} className={classes.case} aria-label={`Case ${place + 1}`}>
          <Group gap={4} mb={6}>
            <Text size="sm" fw={600} flex={1}>{`Case ${place + 1}`}</Text>
            {!readOnly && (
              <>
                <Move label={`Move case ${place + 1} up`} disabled={place === 0} onClick={() => swap(place, place - 1)} icon={<IconArrowUp size={14} />} />
                <Move label={`Move case ${place + 1} down`} disabled={place === node.cases.length - 1} onClick={() => swap(place, place + 1)} icon={<IconArrowDown size={14} />} />
                <Move label={`Remove case ${place + 1}`} disabled={node.cases.length === 1} onClick={() => set(node.cases.filter((_, at) => at !== place))} icon={<IconX size={14} />} />
              </>
            )}
          </Group>
          <RuleBuilder
            needed
            rule={each.rule}
            fields={fields}
            readOnly={readOnly}
            onChange={(rule) => {
              if (rule !== null) set(node.cases.map((one, at) => (at === place ? { ...one, rule } : one)));
            }}
          />
          {wrong(`cases[${place}]`) !== undefined && <p className={classes.problem}>{wrong(`cases[${place}]`)}</p>}
        </section>
      ))}
      {!readOnly && node.cases.length < MOST_CASES && (
        <Button size="xs" variant="default" leftSection={<IconPlus size={14} />} onClick={() => set([...node.cases, { rule: freshLeaf(), next: NOWHERE }])}>
          Add a case
        </Button>
      )}
    </>
  );
}

function Move(props: { label: string; disabled: boolean; onClick: () => void; icon: React.ReactNode }) {
  return (
    <ActionIcon size="sm" variant="subtle" color="gray" aria-label={props.label} disabled={props.disabled} onClick={props.onClick}>
      {props.icon}
    </ActionIcon>
  );
}

export const branch: NodeKind<"branch"> = {
  label: "Branch",
  hint: "By what is known of the call",
  icon: IconArrowsSplit2,
  tone: "decide",
  make: () => ({ kind: "branch", cases: [{ rule: { kind: "leaf", subject: "caller_state", operator: "in", values: ["CA"] }, next: NOWHERE }], otherwise: NOWHERE }),
  summary: (node) => {
    const [first] = node.cases;
    const told = first === undefined ? "No case yet" : sentence(first.rule);
    return node.cases.length > 1 ? `${told} (and ${node.cases.length - 1} more)` : told;
  },
  Panel,
};
