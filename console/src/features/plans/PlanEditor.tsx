import { Group, NumberInput, Stack } from "@mantine/core";
import type { RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { fieldError } from "../../ui/ErrorNote";
import { Part } from "../../ui/Part";
import { SaveBar } from "../../ui/record/SaveBar";
import { useEdit } from "../../ui/record/useEdit";
import { Auctions } from "./Auctions";
import { FallbackFields } from "./FallbackFields";
import classes from "./Plan.module.css";
import { Strategies } from "./Strategies";
import { Tiers } from "./Tiers";
import { WhoWouldGet } from "./WhoWouldGet";

const SHOWN = ["plan", "fallback", "auction"];

/** How a campaign chooses among its offers: strategy, offers in tiers, what happens where nobody takes the call. */
export function PlanEditor({ record }: { record: RecordOf<"campaigns"> }) {
  const edit = useEdit("campaigns", record);
  const readOnly = !useMay("change");
  const { plan, fallback, auction } = edit.draft;
  const set = (change: Partial<typeof plan>) => edit.set({ plan: { ...plan, ...change } });
  return (
    <div className={classes.columns}>
      <div className={classes.main}>
        <Part title="Strategy">
          <Stack gap="sm">
            <Strategies value={plan.strategy} onChange={(strategy) => set({ strategy })} readOnly={readOnly} />
            <Group grow maw={420} align="flex-start">
              <NumberInput
                label="Buyers rung for one call"
                suffix=" at most"
                min={1}
                max={10}
                allowDecimal={false}
                value={plan.max_attempts}
                error={fieldError(edit.error, "plan.max_attempts")}
                readOnly={readOnly}
                onChange={(value) => {
                  if (typeof value === "number") set({ max_attempts: value });
                }}
              />
              <NumberInput
                label="Callers wait"
                suffix=" s at most"
                min={5}
                max={600}
                allowDecimal={false}
                value={plan.max_wait_s}
                error={fieldError(edit.error, "plan.max_wait_s")}
                readOnly={readOnly}
                onChange={(value) => {
                  if (typeof value === "number") set({ max_wait_s: value });
                }}
              />
            </Group>
          </Stack>
        </Part>
        <Tiers
          strategy={plan.strategy}
          entries={plan.entries}
          onChange={(entries) => set({ entries })}
          error={edit.error}
          readOnly={readOnly}
          flowId={edit.draft.flow_id}
        />
        <Part title="Where nobody takes the call">
          <FallbackFields value={fallback} onChange={(next) => edit.set({ fallback: next })} error={edit.error} readOnly={readOnly} />
        </Part>
        <Part title="Live bids" note="for offers that are priced by their bid">
          <Auctions terms={auction} onChange={(next) => edit.set({ auction: next })} error={edit.error} readOnly={readOnly} />
        </Part>
        <SaveBar edit={edit} shown={edit.error === null ? [] : SHOWN} />
      </div>
      <aside className={classes.aside} aria-label="Preview">
        <WhoWouldGet id={record.id} revision={edit.record.revision} changed={edit.changed.length > 0} />
      </aside>
    </div>
  );
}
