import { NumberInput, Select, Stack, Switch } from "@mantine/core";
import type { Shapes } from "../../api/client";
import { fieldError } from "../../ui/ErrorNote";
import { MoneyInput } from "../../ui/record/MoneyInput";

type Terms = Shapes["CampaignBody"]["auction"];

const STATIC: Record<Terms["static_fallback"]["kind"], string> = {
  yes: "Offers with a fixed price take it",
  no: "Nobody: it goes where nobody takes the call",
  above: "Offers with a fixed price from an amount on",
};

/** How live bids are asked for, and what bidders are told. */
export function Auctions(props: { terms: Terms; onChange: (terms: Terms) => void; error: unknown; readOnly: boolean }) {
  const { terms, onChange, error, readOnly } = props;
  return (
    <Stack gap="sm" maw={520}>
      <NumberInput
        label="Bidders have"
        suffix=" ms"
        min={50}
        max={4000}
        allowDecimal={false}
        value={terms.deadline_ms}
        error={fieldError(error, "auction.deadline_ms")}
        readOnly={readOnly}
        onChange={(deadline_ms) => {
          if (typeof deadline_ms === "number") onChange({ ...terms, deadline_ms });
        }}
      />
      <MoneyInput label="Reserve: lower bids do not rank" value={terms.reserve} disabled={readOnly} error={fieldError(error, "auction.reserve")} onChange={(reserve) => onChange({ ...terms, reserve })} />
      <Select
        label="Where bidders were asked and none bid"
        allowDeselect={false}
        disabled={readOnly}
        data={Object.entries(STATIC).map(([value, label]) => ({ value, label }))}
        value={terms.static_fallback.kind}
        onChange={(kind) => {
          if (kind === "above") onChange({ ...terms, static_fallback: { kind, amount: "0" } });
          else if (kind === "yes" || kind === "no") onChange({ ...terms, static_fallback: { kind } });
        }}
      />
      {terms.static_fallback.kind === "above" && (
        <MoneyInput
          label="From"
          value={terms.static_fallback.amount}
          disabled={readOnly}
          error={fieldError(error, "auction.static_fallback")}
          onChange={(amount) => onChange({ ...terms, static_fallback: { kind: "above", amount } })}
        />
      )}
      <Switch
        label="Bidders may be told the caller's number"
        description="Where their offer allows it too"
        checked={terms.share_number}
        disabled={readOnly}
        error={fieldError(error, "auction.share_number")}
        onChange={(event) => onChange({ ...terms, share_number: event.currentTarget.checked })}
      />
      <Switch
        label="Bidders may be told where the caller came from"
        checked={terms.share_source}
        disabled={readOnly}
        onChange={(event) => onChange({ ...terms, share_source: event.currentTarget.checked })}
      />
    </Stack>
  );
}
