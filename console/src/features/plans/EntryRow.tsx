import { ActionIcon, Button, Checkbox, Group, Input, NumberInput, Slider, Switch } from "@mantine/core";
import { IconArrowDown, IconArrowUp, IconChevronDown, IconChevronUp, IconGripVertical, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type DragEvent, type ReactNode, useState } from "react";
import { question } from "../../api/client";
import type { FieldProblem } from "../../api/problem";
import { recordOf } from "../../api/records";
import { useAccount } from "../../api/session";
import { Name } from "../../ui/Name";
import { PriceFields, priceText } from "../../ui/record/PriceFields";
import { RuleBuilder } from "../../ui/RuleBuilder";
import { sentence } from "../../ui/rules";
import type { Entry } from "./entries";
import classes from "./Plan.module.css";

const MOST_BY_HAND = 10_000;
const SLIDER_MOST = 300;

interface EntryRowProps {
  entry: Entry;
  weighted: boolean;
  share: number | undefined;
  problems: readonly FieldProblem[];
  readOnly: boolean;
  flowId: string | null;
  up: (() => void) | undefined;
  down: (() => void) | undefined;
  onDragStart: (event: DragEvent) => void;
  onChange: (change: Partial<Entry>) => void;
  onRemove: () => void;
}

/** One offer of the plan: drag it, or move it with its arrows; its terms in this campaign open below. */
export function EntryRow(props: EntryRowProps) {
  const { entry, readOnly, onChange } = props;
  const [opened, setOpened] = useState(false);
  const { currency } = useAccount();
  const { data: offer } = useQuery(recordOf("offers", entry.offer_id));
  const name = offer?.document.name ?? entry.offer_id;
  const price = entry.price ?? offer?.document.price;
  const ruleProblems = props.problems.filter((one) => one.field.includes(".rule"));
  return (
    <li className={classes.entry} data-paused={entry.paused || undefined} data-bad={props.problems.length > 0 || undefined}>
      <div className={classes.line}>
        {!readOnly && (
          <span className={classes.grip} draggable onDragStart={props.onDragStart} title={`Drag ${name} to another tier`}>
            <IconGripVertical size={16} aria-hidden />
          </span>
        )}
        <div className={classes.who}>
          <Link to={`/offers/${entry.offer_id}` as string}>{name}</Link>
          <span className={classes.sub}>
            {offer !== undefined && <Name id={offer.document.buyer_id} />}
            {price !== undefined && ` · ${priceText(price, currency)}${entry.price === null ? "" : ", here only"}`}
            {entry.rule !== null && ` · ${sentence(entry.rule)}`}
          </span>
        </div>
        {props.weighted && (
          <div className={classes.weight}>
            <Slider
              size="sm"
              min={1}
              max={Math.max(SLIDER_MOST, entry.weight)}
              label={null}
              thumbProps={{ "aria-label": `Weight of ${name}` }}
              value={entry.weight}
              disabled={readOnly}
              onChange={(weight) => onChange({ weight })}
            />
            <span className={classes.share}>{props.share === undefined ? "–" : `${props.share}%`}</span>
          </div>
        )}
        <Switch
          size="sm"
          aria-label={`${name} takes part`}
          checked={!entry.paused}
          disabled={readOnly}
          onChange={(event) => onChange({ paused: !event.currentTarget.checked })}
        />
        <span className={classes.moves}>
          {!readOnly && (
            <>
              <Move label={`Move ${name} up a tier`} onClick={props.up} icon={<IconArrowUp size={15} />} />
              <Move label={`Move ${name} down a tier`} onClick={props.down} icon={<IconArrowDown size={15} />} />
            </>
          )}
          <ActionIcon variant="subtle" color="gray" aria-label={`Terms of ${name}`} aria-expanded={opened} onClick={() => setOpened(!opened)}>
            {opened ? <IconChevronUp size={16} /> : <IconChevronDown size={16} />}
          </ActionIcon>
        </span>
      </div>
      {props.problems.length > 0 && (
        <p className={classes.problem} role="alert">
          {props.problems.map((one) => `${one.problem}. ${one.remedy}.`).join(" ")}
        </p>
      )}
      {opened && (
        <div className={classes.more}>
          <Group grow maw={300}>
            <NumberInput
              label="Weight"
              min={1}
              max={MOST_BY_HAND}
              allowDecimal={false}
              value={entry.weight}
              readOnly={readOnly}
              onChange={(weight) => {
                if (typeof weight === "number") onChange({ weight });
              }}
            />
          </Group>
          <Checkbox
            label="A price of its own in this campaign"
            checked={entry.price !== null}
            disabled={readOnly || price === undefined}
            onChange={(event) => onChange({ price: event.currentTarget.checked && price !== undefined ? price : null })}
          />
          {entry.price !== null && <PriceFields value={entry.price} disabled={readOnly} onChange={(next) => onChange({ price: next })} />}
          <Input.Wrapper label="Only for these calls" labelElement="div">
            <Rule entry={entry} onChange={onChange} problems={ruleProblems} readOnly={readOnly} flowId={props.flowId} />
          </Input.Wrapper>
          {!readOnly && (
            <div>
              <Button size="xs" variant="default" leftSection={<IconTrash size={14} />} onClick={props.onRemove}>
                Take out of the plan
              </Button>
            </div>
          )}
        </div>
      )}
    </li>
  );
}

function Rule(props: Pick<EntryRowProps, "entry" | "onChange" | "problems" | "readOnly" | "flowId">) {
  const { data: flow } = useQuery({
    ...question("/api/flows/{id}", { params: { path: { id: props.flowId ?? "" } } }),
    enabled: props.flowId !== null,
  });
  const fields = Object.values(flow?.document.draft.nodes ?? {}).flatMap((node) => ("field" in node && node.field ? [node.field] : []));
  return (
    <RuleBuilder
      rule={props.entry.rule}
      fields={[...new Set(fields)]}
      problems={props.problems}
      readOnly={props.readOnly}
      onChange={(rule) => props.onChange({ rule: rule as Entry["rule"] })}
    />
  );
}

function Move(props: { label: string; onClick: (() => void) | undefined; icon: ReactNode }) {
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={props.label} disabled={props.onClick === undefined} onClick={props.onClick}>
      {props.icon}
    </ActionIcon>
  );
}
