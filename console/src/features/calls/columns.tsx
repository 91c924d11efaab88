import { Link } from "@tanstack/react-router";
import type { Role } from "../../api/session";
import type { Column } from "../../ui/DataTable";
import { clock, phone, words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Money, Nothing, Phone, When } from "../../ui/Values";
import { CallState } from "../../ui/CallState";
import type { Call } from "./filters";
import { Talk } from "./Talk";

const ALL: readonly Column<Call>[] = [
  {
    id: "arrived",
    label: "Arrived",
    width: 144,
    cell: (call) => (
      <Link to="/calls/$id" params={{ id: call.id }} data-row>
        <When at={call.arrived_at} />
      </Link>
    ),
  },
  { id: "standing", label: "State", width: 132, cell: (call) => <CallState call={call} /> },
  { id: "caller", label: "Caller", width: 130, cell: (call) => <Phone number={call.caller} /> },
  { id: "state", label: "From", width: 54, cell: (call) => call.caller_state ?? <Nothing /> },
  { id: "campaign", label: "Campaign", width: 128, grow: true, cell: (call) => <Name id={call.campaign_id} /> },
  { id: "publisher", label: "Publisher", width: 112, grow: true, cell: (call) => <Name id={call.publisher_id} /> },
  { id: "buyer", label: "Buyer", width: 112, grow: true, cell: (call) => <Name id={call.buyer_id} /> },
  { id: "talk", label: "Talk", width: 64, align: "right", cell: (call) => <Talk call={call} /> },
  { id: "revenue", label: "Revenue", width: 82, align: "right", cell: (call) => <Money amount={call.revenue} round="cents" /> },
  { id: "payout", label: "Payout", width: 82, align: "right", cell: (call) => <Money amount={call.payout} round="cents" /> },
  { id: "profit", label: "Profit", width: 82, align: "right", cell: (call) => <Money amount={call.profit} round="cents" signed /> },
  { id: "offer", label: "Offer", width: 140, grow: true, extra: true, cell: (call) => <Name id={call.offer_id} /> },
  { id: "dialed", label: "Dialed", width: 136, extra: true, cell: (call) => <Phone number={call.dialed} /> },
  { id: "duration", label: "Duration", width: 86, align: "right", extra: true, cell: (call) => (call.duration_ms === null ? <Nothing /> : clock(call.duration_ms / 1000)) },
  { id: "cost", label: "Cost", width: 94, align: "right", extra: true, cell: (call) => <Money amount={call.cost} /> },
  { id: "reason", label: "End", width: 140, extra: true, cell: (call) => (call.end_reason === "" ? <Nothing /> : words(call.end_reason)) },
  { id: "disposition", label: "Disposition", width: 150, grow: true, extra: true, cell: (call) => call.disposition || <Nothing /> },
  {
    id: "tags",
    label: "Tags",
    width: 180,
    grow: true,
    extra: true,
    cell: (call) => Object.entries(call.tags).map(([key, value]) => `${key}=${value}`).join(" ") || <Nothing />,
  },
  { id: "id", label: "Id", width: 230, extra: true, cell: (call) => <span className="cm-mono">{call.id}</span> },
];

const HIDDEN: Partial<Record<Role, readonly string[]>> = {
  buyer: ["publisher", "payout", "profit", "cost", "tags"],
  publisher: ["buyer", "offer", "revenue", "profit", "cost"],
};

/** The columns that a role is told anything in. */
export function columnsFor(role: Role): readonly Column<Call>[] {
  return ALL.filter((one) => HIDDEN[role]?.includes(one.id) !== true);
}

/** One call on a narrow screen. */
export function compactCall(call: Call) {
  return (
    <Link to="/calls/$id" params={{ id: call.id }} data-row>
      <span style={{ display: "flex", justifyContent: "space-between", gap: 8 }}>
        <CallState call={call} />
        <Money amount={call.revenue ?? call.payout} round="cents" />
      </span>
      <span style={{ display: "flex", justifyContent: "space-between", gap: 8, color: "var(--mantine-color-dimmed)", marginTop: 3 }}>
        <span className="cm-clip">
          {call.caller === null ? "Anonymous" : phone(call.caller)} · <Name id={call.campaign_id} />
        </span>
        <When at={call.arrived_at} style="time" />
      </span>
    </Link>
  );
}
