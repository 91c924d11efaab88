import { Text } from "@mantine/core";
import { IconTag } from "@tabler/icons-react";
import { type DragEvent, useState } from "react";
import { problemsAt } from "../../api/problem";
import type { Shapes } from "../../api/client";
import { Empty } from "../../ui/Empty";
import { count } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import { canStep, dropped, type Entry, freshEntry, shares, stepped, tiersOf, withEntry, without } from "./entries";
import { EntryRow } from "./EntryRow";
import classes from "./Plan.module.css";

const DRAGGED = "application/x-callmatrix-entry";
/** More than these of one tier would be slow to draw; they are told by number. */
const MOST_DRAWN = 100;

interface TiersProps {
  strategy: Shapes["RoutingPlan"]["strategy"];
  entries: readonly Entry[];
  onChange: (entries: Entry[]) => void;
  error: unknown;
  readOnly: boolean;
  flowId: string | null;
}

/** The offers that take part, in tiers: the next tier is asked where nobody of this one can take the call. */
export function Tiers(props: TiersProps) {
  const { entries, onChange, readOnly } = props;
  const [over, setOver] = useState<string>();
  const tiers = tiersOf(entries);
  const drop = (order: number, between: boolean) => (event: DragEvent) => {
    setOver(undefined);
    const place = Number.parseInt(event.dataTransfer.getData(DRAGGED), 10);
    if (Number.isNaN(place) || place >= entries.length) return;
    event.preventDefault();
    onChange(dropped(entries, place, order, between));
  };
  const target = (key: string, order: number, between: boolean) => ({
    onDragOver: (event: DragEvent) => {
      if (readOnly || !event.dataTransfer.types.includes(DRAGGED)) return;
      event.preventDefault();
      setOver(key);
    },
    onDragLeave: () => setOver((before) => (before === key ? undefined : before)),
    onDrop: drop(order, between),
    "data-over": over === key || undefined,
  });
  return (
    <Part title="Offers" note={`${count(entries.length)} take part in ${tiers.length === 1 ? "1 tier" : `${tiers.length} tiers`}`}>
      {entries.length === 0 && (
        <Empty icon={<IconTag size={22} />} title="No offer takes part yet">
          Add the offers of buyers who want these calls. Until then, every call goes to what is named below.
        </Empty>
      )}
      {tiers.map((tier, order) => {
        const share = shares(entries, tier);
        return (
          <div key={tier.priority}>
            <div className={classes.gap} {...target(`gap ${order}`, order, true)} />
            <section className={classes.tier} aria-label={`Tier ${order + 1}`} {...target(`tier ${order}`, order, false)}>
              <div className={classes.tierHead}>
                <b>{`Tier ${order + 1}`}</b>
                <span>{order === 0 ? "Asked first" : "Asked where nobody above can take the call"}</span>
              </div>
              <ul className={classes.entries}>
                {tier.places.slice(0, MOST_DRAWN).map((place) => {
                  const entry = entries[place];
                  if (entry === undefined) return null;
                  return (
                    <EntryRow
                      key={entry.offer_id}
                      entry={entry}
                      weighted={props.strategy === "weighted"}
                      share={share.get(place)}
                      problems={[...problemsAt(props.error, `plan.entries.${place}`), ...problemsAt(props.error, `plan.entries[${place}]`)]}
                      readOnly={readOnly}
                      flowId={props.flowId}
                      up={canStep(entries, place, -1) ? () => onChange(stepped(entries, place, -1)) : undefined}
                      down={canStep(entries, place, 1) ? () => onChange(stepped(entries, place, 1)) : undefined}
                      onDragStart={(event) => {
                        event.dataTransfer.setData(DRAGGED, String(place));
                        event.dataTransfer.effectAllowed = "move";
                      }}
                      onChange={(change) => onChange(withEntry(entries, place, change))}
                      onRemove={() => onChange(without(entries, place))}
                    />
                  );
                })}
              </ul>
              {tier.places.length > MOST_DRAWN && (
                <Text size="xs" c="dimmed" px={12} pb={8}>
                  {`and ${count(tier.places.length - MOST_DRAWN)} more of this tier`}
                </Text>
              )}
            </section>
          </div>
        );
      })}
      {tiers.length > 0 && <div className={classes.gap} {...target("gap last", tiers.length, true)} />}
      {!readOnly && (
        <div className={classes.add}>
          <NamePicker
            kind="offer"
            label="Add an offer"
            value={undefined}
            onChange={(id) => {
              if (id === undefined || entries.some((entry) => entry.offer_id === id)) return;
              onChange([...entries, freshEntry(id, tiers.at(-1)?.priority ?? 1)]);
            }}
          />
        </div>
      )}
    </Part>
  );
}
