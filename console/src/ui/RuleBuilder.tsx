import { ActionIcon, Autocomplete, Button, NativeSelect, TagsInput, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import type { FieldProblem } from "../api/problem";
import { useAccount } from "../api/session";
import classes from "./RuleBuilder.module.css";
import {
  aboutSubject,
  freshLeaf,
  type Group,
  GROUPS,
  type Leaf,
  OPERATORS,
  type Operator,
  type Path,
  type Rule,
  sentence,
  type Subject,
  SUBJECTS,
  withMore,
  withOperator,
  withPart,
} from "./rules";

const MOST_DEPTH = 8;
const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const SUBJECT_CHOICES = Object.entries(SUBJECTS).map(([value, words]) => ({ value, label: words.label }));
const GROUP_CHOICES = Object.entries(GROUPS).map(([value, label]) => ({ value, label }));

interface RuleBuilderProps {
  rule: Rule | null;
  onChange: (rule: Rule | null) => void;
  /** Names of captured fields to choose from. */
  fields?: readonly string[];
  problems?: readonly FieldProblem[];
  /** There is always a condition: the last one cannot be taken away. */
  needed?: boolean;
  readOnly?: boolean;
}

/** Builds a rule of conditions, nested by all, any and none, and says in words what it means. */
export function RuleBuilder(props: RuleBuilderProps) {
  const { rule } = props;
  const change = (path: Path, part: Rule | null) => props.onChange(rule === null ? part : withPart(rule, path, part));
  const inside: PartProps = {
    change,
    more: (path, part) => props.onChange(withMore(rule, path, part)),
    fields: props.fields ?? [],
    keepLast: props.needed === true,
    readOnly: props.readOnly === true,
  };
  return (
    <div>
      <p className={classes.summary}>{sentence(rule).replace(/…?$/, (end) => end || ".")}</p>
      {rule !== null && <Part {...inside} rule={rule} path={[]} />}
      {rule === null && props.readOnly !== true && <Add {...inside} path={[]} />}
      {rule !== null && rule.kind === "leaf" && props.readOnly !== true && <Add {...inside} path={[]} />}
      {(props.problems ?? []).map((one) => (
        <p key={`${one.field} ${one.problem}`} className={classes.problem} role="alert">
          {`${one.problem}. ${one.remedy}.`}
        </p>
      ))}
    </div>
  );
}

interface PartProps {
  change: (path: Path, part: Rule | null) => void;
  more: (path: Path, part: Rule) => void;
  fields: readonly string[];
  keepLast: boolean;
  readOnly: boolean;
}

function Part(props: PartProps & { rule: Rule; path: Path }) {
  return props.rule.kind === "leaf" ? (
    <LeafPart {...props} leaf={props.rule} />
  ) : (
    <GroupPart {...props} group={props.rule} />
  );
}

function GroupPart(props: PartProps & { group: Group; path: Path }) {
  const { group, path } = props;
  return (
    <div className={classes.group} role="group" aria-label={GROUPS[group.kind]}>
      <div className={classes.groupHead}>
        <NativeSelect
          size="xs"
          aria-label="How the conditions are joined"
          data={GROUP_CHOICES}
          value={group.kind}
          disabled={props.readOnly}
          onChange={(event) => props.change(path, { ...group, kind: event.currentTarget.value as Group["kind"] })}
        />
        {!props.readOnly && !(props.keepLast && path.length === 0) && (
          <Remove label="Remove this group" onClick={() => props.change(path, null)} />
        )}
      </div>
      <ul className={classes.parts}>
        {group.rules.map((each, place) => (
          <li key={place}>
            <Part {...props} rule={each} path={[...path, place]} />
          </li>
        ))}
      </ul>
      {!props.readOnly && <Add {...props} path={path} />}
    </div>
  );
}

function Add(props: PartProps & { path: Path }) {
  return (
    <div className={classes.acts}>
      <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => props.more(props.path, freshLeaf())}>
        Condition
      </Button>
      {props.path.length < MOST_DEPTH - 1 && (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={<IconPlus size={13} />}
          onClick={() => props.more(props.path, { kind: "any", rules: [freshLeaf()] })}
        >
          Group
        </Button>
      )}
    </div>
  );
}

function LeafPart(props: PartProps & { leaf: Leaf; path: Path }) {
  const { leaf, path } = props;
  const { timeZone } = useAccount();
  const words = SUBJECTS[leaf.subject];
  const set = (changed: Leaf) => props.change(path, changed);
  return (
    <div className={classes.leaf} role="group" aria-label="Condition">
      <NativeSelect
        size="xs"
        aria-label="What is asked"
        data={SUBJECT_CHOICES}
        value={leaf.subject}
        disabled={props.readOnly}
        onChange={(event) => set(aboutSubject(leaf, event.currentTarget.value as Subject, timeZone))}
      />
      {words.named === true && (
        <Autocomplete
          size="xs"
          aria-label={leaf.subject === "field" ? "Field" : "Tag"}
          placeholder={leaf.subject === "field" ? "Field" : "Tag"}
          data={leaf.subject === "field" ? [...props.fields] : []}
          value={leaf.name ?? ""}
          disabled={props.readOnly}
          onChange={(name) => set({ ...leaf, name })}
        />
      )}
      <NativeSelect
        size="xs"
        aria-label="How it is compared"
        data={words.operators.map((value) => ({ value, label: operatorLabel(leaf.subject, value) }))}
        value={leaf.operator}
        disabled={props.readOnly}
        onChange={(event) => set(withOperator(leaf, event.currentTarget.value as Operator))}
      />
      <Values leaf={leaf} set={set} readOnly={props.readOnly} />
      {words.timed === true && (
        <TextInput
          size="xs"
          aria-label="Time zone"
          value={leaf.time_zone ?? ""}
          disabled={props.readOnly}
          onChange={(event) => set({ ...leaf, time_zone: event.currentTarget.value })}
        />
      )}
      {!props.readOnly && !(props.keepLast && path.length === 0) && (
        <span className={classes.remove}>
          <Remove label="Remove this condition" onClick={() => props.change(path, null)} />
        </span>
      )}
    </div>
  );
}

function operatorLabel(subject: Subject, operator: Operator): string {
  if (subject !== "time_of_day") return OPERATORS[operator].label;
  return operator === "less" ? "is before" : operator === "greater" ? "is after" : "is between";
}

function Values(props: { leaf: Leaf; set: (leaf: Leaf) => void; readOnly: boolean }) {
  const { leaf } = props;
  const values = leaf.values ?? [];
  const example = SUBJECTS[leaf.subject].example;
  switch (OPERATORS[leaf.operator].values) {
    case "none":
      return null;
    case "one":
      return (
        <TextInput
          className={classes.values}
          size="xs"
          aria-label="Value"
          placeholder={leaf.operator === "matches" ? "^\\+1415" : example}
          value={values[0] ?? ""}
          disabled={props.readOnly}
          onChange={(event) => props.set({ ...leaf, values: [event.currentTarget.value] })}
        />
      );
    case "two":
      return (
        <div className={`${classes.values} ${classes.pair}`}>
          {[0, 1].map((place) => (
            <TextInput
              key={place}
              style={{ order: place * 2 }}
              size="xs"
              aria-label={place === 0 ? "From" : "To"}
              placeholder={example}
              value={values[place] ?? ""}
              disabled={props.readOnly}
              onChange={(event) => {
                const text = event.currentTarget.value;
                props.set({ ...leaf, values: place === 0 ? [text, values[1] ?? ""] : [values[0] ?? "", text] });
              }}
            />
          ))}
          <span style={{ order: 1 }}>and</span>
        </div>
      );
    case "many":
      return (
        <TagsInput
          className={classes.values}
          size="xs"
          aria-label="Values"
          placeholder={values.length === 0 ? `${example}, then Enter` : undefined}
          data={leaf.subject === "day_of_week" ? DAYS : leaf.subject === "attestation" ? ["A", "B", "C"] : []}
          value={values}
          splitChars={[",", " ", ";"]}
          acceptValueOnBlur
          disabled={props.readOnly}
          onChange={(next) => props.set({ ...leaf, values: next })}
        />
      );
  }
}

function Remove(props: { label: string; onClick: () => void }) {
  return (
    <ActionIcon size="md" variant="subtle" color="gray" aria-label={props.label} onClick={props.onClick}>
      <IconX size={14} />
    </ActionIcon>
  );
}
