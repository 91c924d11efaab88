import { ActionIcon, Button, Group, NumberInput, Select, Stack, Switch, Text } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import type { Shapes } from "../../api/client";
import { money } from "../format";
import { MoneyInput } from "./MoneyInput";

export type Price = Shapes["OfferBody"]["price"];
export type Payout = Shapes["PublisherTerms"]["payout"];
type Tier = Shapes["Tier"];

const PRICES = [
  { value: "fixed", label: "Fixed, per converted call" },
  { value: "tiers", label: "Tiers by duration" },
  { value: "per_minute", label: "Per minute" },
  { value: "bid", label: "What the buyer bids" },
];
const PAYOUTS = [
  { value: "share", label: "A share of the revenue" },
  { value: "fixed", label: "Fixed, per call" },
  { value: "tiers", label: "Tiers by duration" },
];

function freshPrice(kind: string): Price {
  if (kind === "tiers") return { kind: "tiers", tiers: [{ from_s: 60, amount: "10.00" }] };
  if (kind === "per_minute") return { kind: "per_minute", rate: "1.00", increment_s: 60, minimum_s: 0, after_s: 60 };
  if (kind === "bid") return { kind: "bid", floor: "0", after_s: 60 };
  return { kind: "fixed", amount: "20.00", after_s: 60 };
}

function freshPayout(kind: string): Payout {
  if (kind === "share") return { kind: "share", share_bps: 6_500 };
  return freshPrice(kind) as Payout;
}

/** A price in few words. */
export function priceText(price: Price | Payout, currency: string): string {
  switch (price.kind) {
    case "fixed":
      return `${money(price.amount, currency)} after ${price.after_s} s`;
    case "tiers":
      return price.tiers.map((one) => `${money(one.amount, currency)} from ${one.from_s} s`).join(", ");
    case "per_minute":
      return `${money(price.rate, currency)} a minute after ${price.after_s} s`;
    case "bid":
      return `By bid, ${money(price.floor, currency)} at least, after ${price.after_s} s`;
    case "share":
      return `${price.share_bps / 100}% of the revenue`;
  }
}

interface Fields<T> {
  value: T;
  onChange: (value: T) => void;
  error?: string | undefined;
  disabled?: boolean;
}

/** What a buyer pays for a call. */
export function PriceFields(props: Fields<Price>) {
  const { value, onChange } = props;
  const disabled = props.disabled === true;
  return (
    <Stack gap="sm">
      <Group align="flex-start" grow>
        <Select
          label="Price"
          data={PRICES}
          allowDeselect={false}
          disabled={disabled}
          value={value.kind}
          error={props.error}
          onChange={(kind) => kind !== null && kind !== value.kind && onChange(freshPrice(kind))}
        />
        {value.kind === "fixed" && (
          <MoneyInput label="Amount" value={value.amount} disabled={disabled} onChange={(amount) => onChange({ ...value, amount })} />
        )}
        {value.kind === "per_minute" && (
          <MoneyInput label="A minute" value={value.rate} disabled={disabled} onChange={(rate) => onChange({ ...value, rate })} />
        )}
        {value.kind === "bid" && (
          <MoneyInput label="At least" value={value.floor} disabled={disabled} onChange={(floor) => onChange({ ...value, floor })} />
        )}
        {value.kind !== "tiers" && (
          <Seconds label="After seconds" disabled={disabled} value={value.after_s} onChange={(after_s) => onChange({ ...value, after_s })} />
        )}
      </Group>
      {value.kind === "tiers" && <Tiers tiers={value.tiers} disabled={disabled} onChange={(tiers) => onChange({ ...value, tiers })} />}
    </Stack>
  );
}

/** What a publisher earns for a call. */
export function TermsFields(props: Fields<Shapes["PublisherTerms"]>) {
  const { payout } = props.value;
  const disabled = props.disabled === true;
  const change = (next: Payout) => props.onChange({ ...props.value, payout: next });
  return (
    <Stack gap="sm">
      <Group align="flex-start" grow>
        <Select
          label="Payout"
          data={PAYOUTS}
          allowDeselect={false}
          disabled={disabled}
          value={payout.kind}
          error={props.error}
          onChange={(kind) => kind !== null && kind !== payout.kind && change(freshPayout(kind))}
        />
        {payout.kind === "share" && (
          <NumberInput
            label="Share of the revenue"
            suffix=" %"
            min={0}
            max={100}
            decimalScale={2}
            disabled={disabled}
            value={payout.share_bps / 100}
            onChange={(value) => change({ kind: "share", share_bps: Math.round(Number(value) * 100) })}
          />
        )}
        {payout.kind === "fixed" && (
          <MoneyInput label="Amount" value={payout.amount} disabled={disabled} onChange={(amount) => change({ ...payout, amount })} />
        )}
        {payout.kind === "fixed" && (
          <Seconds label="After seconds" disabled={disabled} value={payout.after_s} onChange={(after_s) => change({ ...payout, after_s })} />
        )}
      </Group>
      {payout.kind === "tiers" && <Tiers tiers={payout.tiers} disabled={disabled} onChange={(tiers) => change({ kind: "tiers", tiers })} />}
      <Switch
        label="Only if the buyer pays for the call"
        disabled={disabled}
        checked={props.value.only_if_converted}
        onChange={(event) => props.onChange({ ...props.value, only_if_converted: event.currentTarget.checked })}
      />
    </Stack>
  );
}

function Tiers({ tiers, disabled, onChange }: { tiers: readonly Tier[]; disabled: boolean; onChange: (tiers: Tier[]) => void }) {
  const change = (place: number, tier: Tier) => onChange(tiers.with(place, tier));
  return (
    <Stack gap="xs">
      <Text size="xs" c="dimmed">
        The amount of the highest tier that a call reaches.
      </Text>
      {tiers.map((tier, place) => (
        <Group key={place} align="flex-end" wrap="nowrap">
          <Seconds label="From seconds" disabled={disabled} value={tier.from_s} onChange={(from_s) => change(place, { ...tier, from_s })} />
          <MoneyInput label="Amount" disabled={disabled} value={tier.amount} onChange={(amount) => change(place, { ...tier, amount })} />
          {tiers.length > 1 && !disabled && (
            <ActionIcon variant="subtle" color="gray" size={34} aria-label={`Remove tier ${place + 1}`} onClick={() => onChange(tiers.toSpliced(place, 1))}>
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
          onClick={() => onChange([...tiers, { from_s: (tiers.at(-1)?.from_s ?? 0) + 60, amount: tiers.at(-1)?.amount ?? "10.00" }])}
        >
          Tier
        </Button>
      )}
    </Stack>
  );
}

function Seconds(props: { label: string; value: number; onChange: (seconds: number) => void; disabled: boolean }) {
  return (
    <NumberInput
      label={props.label}
      min={0}
      allowDecimal={false}
      disabled={props.disabled}
      value={props.value}
      onChange={(value) => props.onChange(Number(value) || 0)}
    />
  );
}
