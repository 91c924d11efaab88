import { ActionIcon, Button, Group, NumberInput, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import type { Shapes } from "../../api/client";

type Limits = Shapes["Limits"];
type Cap = Limits["caps"][number];

const METRICS = [
  { value: "attempt", label: "Attempts" },
  { value: "connect", label: "Connected calls" },
  { value: "conversion", label: "Converted calls" },
  { value: "revenue", label: "Revenue" },
];
const PUBLISHER_METRICS = [
  { value: "connect", label: "Connected calls" },
  { value: "paid", label: "Paid calls" },
  { value: "payout", label: "Payout" },
];
const WINDOWS = [
  { value: "hour", label: "an hour" },
  { value: "day", label: "a day" },
  { value: "week", label: "a week" },
  { value: "month", label: "a month" },
  { value: "total", label: "in total" },
];

interface LimitsFieldsProps {
  value: Limits;
  onChange: (limits: Limits) => void;
  whose?: "buyer" | "publisher";
  error?: string | undefined;
  disabled?: boolean;
}

/** Caps, calls at the same time, and the time between two. */
export function LimitsFields({ value, onChange, whose, error, disabled: off }: LimitsFieldsProps) {
  const disabled = off === true;
  const change = (place: number, cap: Cap) => onChange({ ...value, caps: value.caps.with(place, cap) });
  return (
    <Stack gap="sm">
      {value.caps.length === 0 && (
        <Text size="sm" c="dimmed">
          No caps: calls are not limited here.
        </Text>
      )}
      {value.caps.map((cap, place) => (
        <Group key={place} gap="xs" wrap="nowrap" align="flex-end">
          <TextInput
            aria-label={`Limit of cap ${place + 1}`}
            w={110}
            inputMode="decimal"
            disabled={disabled}
            value={String(cap.limit)}
            onChange={(event) => {
              const text = event.currentTarget.value.trim();
              change(place, cap.kind === "money" ? { ...cap, limit: text } : { ...cap, limit: Number(text.replace(/\D/g, "")) });
            }}
          />
          <Select
            aria-label={`What cap ${place + 1} counts`}
            flex={1}
            allowDeselect={false}
            disabled={disabled}
            data={whose === "publisher" ? PUBLISHER_METRICS : METRICS}
            value={cap.metric}
            onChange={(metric) => metric !== null && change(place, counted(cap, metric))}
          />
          <Select
            aria-label={`Window of cap ${place + 1}`}
            w={120}
            allowDeselect={false}
            disabled={disabled}
            data={WINDOWS}
            value={cap.window}
            onChange={(window) => window !== null && change(place, { ...cap, window: window as Cap["window"] })}
          />
          {!disabled && (
            <ActionIcon
              variant="subtle"
              color="gray"
              size={34}
              aria-label={`Remove cap ${place + 1}`}
              onClick={() => onChange({ ...value, caps: value.caps.toSpliced(place, 1) })}
            >
              <IconTrash size={16} />
            </ActionIcon>
          )}
        </Group>
      ))}
      {!disabled && (
        <Button
          variant="default"
          size="xs"
          w="fit-content"
          leftSection={<IconPlus size={14} />}
          onClick={() => onChange({ ...value, caps: [...value.caps, fresh(whose)] })}
        >
          Cap
        </Button>
      )}
      <Group grow>
        <NumberInput
          label="At the same time"
          placeholder="No limit"
          min={0}
          allowDecimal={false}
          disabled={disabled}
          value={value.concurrency ?? ""}
          onChange={(number) => onChange({ ...value, concurrency: number === "" ? null : Number(number) })}
        />
        <NumberInput
          label="Seconds between two"
          placeholder="None"
          min={0}
          allowDecimal={false}
          disabled={disabled}
          value={value.spacing_s ?? ""}
          onChange={(number) => onChange({ ...value, spacing_s: number === "" ? null : Number(number) })}
        />
      </Group>
      {error !== undefined && (
        <Text size="sm" c="var(--mantine-color-error)">
          {error}
        </Text>
      )}
    </Stack>
  );
}

function fresh(whose: "buyer" | "publisher" | undefined): Cap {
  return { kind: "count", metric: whose === "publisher" ? "paid" : "conversion", window: "day", limit: 20 };
}

function counted(cap: Cap, metric: string): Cap {
  if (metric === "revenue" || metric === "payout") return { kind: "money", metric, window: cap.window, limit: String(cap.limit) };
  return {
    kind: "count",
    metric: metric as Shapes["CountCap"]["metric"],
    window: cap.window,
    limit: Math.max(0, Math.floor(Number(cap.limit) || 0)),
  };
}
