import { Link } from "@tanstack/react-router";
import type { CallSummary } from "../../api/lists";
import type { Column } from "../../ui/DataTable";
import { clock } from "../../ui/format";
import { Money, Phone, When } from "../../ui/Values";
import { CallStanding } from "./CallStanding";

export const COLUMNS: readonly Column<CallSummary>[] = [
  {
    id: "arrived",
    label: "Arrived",
    width: 160,
    cell: (call) => (
      <Link to="/calls/$id" params={{ id: call.id }} data-row>
        <When at={call.arrived_at} />
      </Link>
    ),
  },
  { id: "standing", label: "State", width: 150, cell: (call) => <CallStanding call={call} /> },
  { id: "caller", label: "Caller", width: 140, cell: (call) => <Phone number={call.caller} /> },
  { id: "talk", label: "Talk", width: 80, align: "right", cell: (call) => clock(call.bridged_ms / 1000) },
  { id: "revenue", label: "Revenue", width: 100, align: "right", cell: (call) => <Money amount={call.revenue} /> },
  { id: "payout", label: "Payout", width: 100, align: "right", cell: (call) => <Money amount={call.payout} /> },
  { id: "profit", label: "Profit", width: 100, align: "right", cell: (call) => <Money amount={call.profit} signed /> },
];
