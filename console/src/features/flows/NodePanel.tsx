import { Button, Divider, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { IconFlag, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import classes from "./Flow.module.css";
import { connected, nameProblem, removed, renamed, startedAt } from "./edits";
import { capturedFields, type Draft, exits, type FlowNode, isConnected, NOWHERE } from "./flow";
import { kindOf } from "./nodes";
import type { DraftProblem } from "./useDraft";

interface NodePanelProps {
  id: string;
  node: FlowNode;
  draft: Draft;
  edit: (change: (draft: Draft) => Draft, about?: string) => void;
  onRename: (id: string) => void;
  problems: readonly DraftProblem[];
  readOnly: boolean;
}

/** Everything about one node: what it does, where its exits lead, what is wrong with it. */
export function NodePanel(props: NodePanelProps) {
  const { id, node, draft, edit, readOnly } = props;
  const kind = kindOf(node.kind);
  const mine = props.problems.filter((one) => one.node === id);
  const wrong = (field: string) => {
    const found = mine.filter((one) => one.field === field || one.field.startsWith(`${field}.`) || one.field.startsWith(`${field}[`));
    return found.length === 0 ? undefined : found.map((one) => `${one.problem}. ${one.remedy}.`).join(" ");
  };
  const ways = exits(node);
  return (
    <>
      {mine.length > 0 && (
        <ul className={classes.problems} aria-label="What is wrong with this node">
          {mine.map((one) => (
            <li key={`${one.code} ${one.field} ${one.problem}`} className={classes.problem}>
              <b>{one.field === "" ? one.problem : `${one.field}: ${one.problem}`}</b>
              <span>{one.remedy}</span>
            </li>
          ))}
        </ul>
      )}
      <Name key={id} id={id} draft={draft} readOnly={readOnly} onRename={(name) => {
        edit((before) => renamed(before, id, name));
        props.onRename(name);
      }} />
      <kind.Panel
        node={node}
        change={(next) => edit((before) => ({ ...before, flow: { ...before.flow, nodes: { ...before.flow.nodes, [id]: next } } }), `node ${id}`)}
        wrong={wrong}
        fields={capturedFields(draft.flow)}
        readOnly={readOnly}
      />
      {ways.length > 0 && (
        <>
          <Divider label="Leads to" labelPosition="left" />
          <Stack gap={8}>
            {ways.map((exit) => (
              <NativeSelect
                key={exit.name}
                size="sm"
                label={exit.label}
                disabled={readOnly}
                value={isConnected(draft.flow, exit.next) ? exit.next : NOWHERE}
                error={!isConnected(draft.flow, exit.next)}
                data={[
                  { value: NOWHERE, label: "Nowhere yet" },
                  ...Object.entries(draft.flow.nodes).map(([other, one]) => ({ value: other, label: `${other} (${kindOf(one.kind).label})` })),
                ]}
                onChange={(event) => edit((before) => connected(before, id, exit.name, event.currentTarget.value))}
              />
            ))}
          </Stack>
        </>
      )}
      {!readOnly && (
        <Group gap={6} mt="auto" pt={8}>
          {draft.flow.start === id ? (
            <Text size="xs" c="dimmed" flex={1}>
              Callers begin here
            </Text>
          ) : (
            <Button size="xs" variant="default" leftSection={<IconFlag size={14} />} onClick={() => edit((before) => startedAt(before, id))}>
              Begin here
            </Button>
          )}
          <Button
            size="xs"
            variant="default"
            leftSection={<IconTrash size={14} />}
            disabled={Object.keys(draft.flow.nodes).length === 1}
            onClick={() => edit((before) => removed(before, [id]))}
          >
            Remove
          </Button>
        </Group>
      )}
    </>
  );
}

function Name(props: { id: string; draft: Draft; readOnly: boolean; onRename: (name: string) => void }) {
  const [name, setName] = useState(props.id);
  const problem = name === props.id ? undefined : nameProblem(props.draft.flow, props.id, name);
  const commit = () => {
    if (name === props.id) return;
    if (problem === undefined) props.onRename(name);
    else setName(props.id);
  };
  return (
    <TextInput
      label="Name"
      value={name}
      error={problem}
      readOnly={props.readOnly}
      onChange={(event) => setName(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === "Enter") commit();
      }}
    />
  );
}
