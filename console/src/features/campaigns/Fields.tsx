import { Group, MultiSelect, NumberInput, Stack, Switch, TextInput } from "@mantine/core";
import type { Shapes } from "../../api/client";
import { fieldError } from "../../ui/ErrorNote";
import { MoneyInput } from "../../ui/record/MoneyInput";

type Campaign = Shapes["CampaignBody"];
type Placed = Pick<Campaign, "name" | "vertical" | "geography" | "flow_id">;

const STATES =
  "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR PA PR RI SC SD TN TX UT VA VT WA WI WV WY".split(
    " ",
  );

interface FieldsProps<T> {
  value: T;
  error: unknown;
  disabled?: boolean;
}

/** What it is called, its vertical, and where its callers come from. */
export function PlaceFields({ value, onChange, error, disabled }: FieldsProps<Placed> & { onChange: (change: Partial<Placed>) => void }) {
  const off = disabled === true;
  return (
    <Stack gap="sm">
      <TextInput
        label="Name"
        placeholder="Plumbing California"
        disabled={off}
        value={value.name}
        onChange={(event) => onChange({ name: event.currentTarget.value })}
        error={fieldError(error, "name")}
      />
      <TextInput
        label="Vertical"
        placeholder="home services"
        disabled={off}
        value={value.vertical}
        onChange={(event) => onChange({ vertical: event.currentTarget.value })}
        error={fieldError(error, "vertical")}
      />
      <MultiSelect
        label="States"
        placeholder={value.geography.states.length === 0 ? "Everywhere" : ""}
        searchable
        clearable
        disabled={off}
        data={STATES}
        value={value.geography.states}
        onChange={(states) => onChange({ geography: { ...value.geography, states } })}
        error={fieldError(error, "geography")}
      />
      {value.geography.states.length > 0 && (
        <Switch
          label="Callers whose state is not known pass"
          disabled={off}
          checked={value.geography.unknown_passes}
          onChange={(event) => onChange({ geography: { ...value.geography, unknown_passes: event.currentTarget.checked } })}
        />
      )}
    </Stack>
  );
}

/** What the campaign should bring. */
export function GoalFields({ value, onChange, error, disabled }: FieldsProps<Shapes["Goals"]> & { onChange: (goals: Shapes["Goals"]) => void }) {
  const off = disabled === true;
  return (
    <Stack gap="sm">
      <Group grow align="flex-start">
        <NumberInput
          label="Calls a day"
          placeholder="No goal"
          min={0}
          allowDecimal={false}
          disabled={off}
          value={value.calls_per_day ?? ""}
          onChange={(number) => onChange({ ...value, calls_per_day: number === "" ? null : Number(number) })}
          error={fieldError(error, "goals.calls_per_day")}
        />
        <NumberInput
          label="Converted of connected"
          placeholder="No goal"
          suffix=" %"
          min={0}
          max={100}
          decimalScale={2}
          disabled={off}
          value={value.conversion_rate_bps === null ? "" : value.conversion_rate_bps / 100}
          onChange={(number) => onChange({ ...value, conversion_rate_bps: number === "" ? null : Math.round(Number(number) * 100) })}
          error={fieldError(error, "goals.conversion_rate_bps")}
        />
      </Group>
      <MoneyInput
        label="Cost per call, at most"
        placeholder="No goal"
        disabled={off}
        value={value.target_cost_per_call ?? ""}
        onChange={(amount) => onChange({ ...value, target_cost_per_call: amount === "" ? null : amount })}
        error={fieldError(error, "goals.target_cost_per_call")}
      />
    </Stack>
  );
}
