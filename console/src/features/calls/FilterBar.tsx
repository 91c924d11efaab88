import { Button, Select, TextInput } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { Role } from "../../api/session";
import { DaysPicker } from "../../ui/DaysPicker";
import { words } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { type ChosenFilters, NOTHING, queryOf, STATUSES } from "./filters";
import classes from "./Calls.module.css";

const STATUS_LABELS: Partial<Record<(typeof STATUSES)[number], string>> = { live: "In the air", review: "In review" };

interface FilterBarProps {
  filters: ChosenFilters;
  onChange: (change: ChosenFilters) => void;
  staff: boolean;
  role: Role;
}

/** What the list of calls is filtered by. */
export function FilterBar({ filters, onChange, staff, role }: FilterBarProps) {
  return (
    <div className={classes.filters} role="search" aria-label="Filters">
      <Select
        className={classes.narrow}
        aria-label="State"
        placeholder="State"
        clearable
        clearButtonProps={{ "aria-label": "Any state" }}
        data={STATUSES.map((value) => ({ value, label: STATUS_LABELS[value] ?? words(value) }))}
        value={filters.status ?? null}
        onChange={(status) => onChange({ status: STATUSES.find((one) => one === status) })}
      />
      <DaysPicker value={filters.days} onChange={(days) => onChange({ days })} />
      {staff && (
        <NamePicker kind="campaign" label="Campaign" value={filters.campaign_id} onChange={(campaign_id) => onChange({ campaign_id })} />
      )}
      {staff && <NamePicker kind="buyer" label="Buyer" value={filters.buyer_id} onChange={(buyer_id) => onChange({ buyer_id })} />}
      {staff && (
        <NamePicker
          kind="publisher"
          label="Publisher"
          value={filters.publisher_id}
          onChange={(publisher_id) => onChange({ publisher_id })}
        />
      )}
      {staff && <Typed label="Caller" placeholder="Caller’s number" value={filters.caller} onChange={(caller) => onChange({ caller })} />}
      {role !== "buyer" && <Typed label="Tag" placeholder="Tag: key=value" value={filters.tag} onChange={(tag) => onChange({ tag })} />}
      {queryOf(filters) !== "" && (
        <Button
          className={classes.auto}
          variant="subtle"
          color="gray"
          c="dimmed"
          leftSection={<IconX size={15} />}
          onClick={() => onChange(NOTHING)}
        >
          Clear
        </Button>
      )}
    </div>
  );
}

interface TypedProps {
  label: string;
  placeholder: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}

/** A filter that is typed; it is asked when it is left or entered. */
function Typed({ label, placeholder, value, onChange }: TypedProps) {
  const [draft, setDraft] = useState(value ?? "");
  useEffect(() => setDraft(value ?? ""), [value]);
  const ask = () => onChange(draft.trim() === "" ? undefined : draft.trim());
  return (
    <TextInput
      aria-label={label}
      placeholder={placeholder}
      value={draft}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={ask}
      onKeyDown={(event) => event.key === "Enter" && ask()}
    />
  );
}
