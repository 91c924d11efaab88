import { Select } from "@mantine/core";
import { IconBook } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { useRows } from "../../ui/rows";
import { Money, Nothing, When } from "../../ui/Values";
import classes from "./Money.module.css";

type Transaction = Shapes["Transaction"];
type Kind = Transaction["kind"];

const KINDS: readonly Kind[] = ["charge", "credit", "payout", "clawback", "cost", "number_rent", "deposit", "disbursement"];
const COLUMNS: readonly Column<Transaction>[] = [
  { id: "at", label: "Booked", width: 150, cell: (one) => <When at={one.at} /> },
  { id: "kind", label: "What", width: 120, cell: (one) => words(one.kind) },
  { id: "from", label: "From", width: 170, grow: true, cell: (one) => <Side one={one} place={0} /> },
  { id: "to", label: "To", width: 170, grow: true, cell: (one) => <Side one={one} place={1} /> },
  { id: "amount", label: "Amount", width: 120, align: "right", cell: (one) => <Money amount={(one.postings[0]?.amount ?? "0").replace("-", "")} /> },
  {
    id: "call",
    label: "For",
    width: 90,
    cell: (one) =>
      one.call_id ? (
        <Link to="/calls/$id" params={{ id: one.call_id }}>
          a call
        </Link>
      ) : one.lead_id ? (
        "a lead"
      ) : (
        <Nothing />
      ),
  },
  { id: "reason", label: "Reason", width: 180, grow: true, cell: (one) => <span className="cm-clip">{one.reason ?? ""}</span> },
];

/** Whose account is credited, or debited. */
function Side({ one, place }: { one: Transaction; place: number }) {
  const sorted = [...one.postings].sort((left, right) => Number(left.amount) - Number(right.amount));
  const posting = place === 0 ? sorted[0] : sorted.at(-1);
  if (posting === undefined) return <Nothing />;
  return posting.owner_id === "" ? <>{words(posting.account)}</> : <Name id={posting.owner_id} />;
}

/** Every transaction, newest first. */
export function Ledger() {
  const [kind, setKind] = useState<Kind>();
  const [buyer, setBuyer] = useState<string>();
  const [publisher, setPublisher] = useState<string>();
  const owner = buyer ?? publisher;
  const query = { ...(kind === undefined ? {} : { kind }), ...(owner === undefined ? {} : { owner_id: owner }) };
  const rows = useRows(
    listed(["/api/transactions", query], (cursor, signal) => read("/api/transactions", { params: { query: { ...query, cursor, limit: 200 } }, signal })),
  );
  return (
    <>
      <div className={classes.bar}>
        <Select
          aria-label="What was booked"
          placeholder="Anything"
          clearable
          data={KINDS.map((value) => ({ value, label: words(value) }))}
          value={kind ?? null}
          onChange={(value) => setKind(KINDS.find((one) => one === value))}
        />
        <NamePicker kind="buyer" label="Buyer" value={buyer} onChange={setBuyer} />
        <NamePicker kind="publisher" label="Publisher" value={publisher} onChange={setPublisher} />
      </div>
      <DataTable
        label="Ledger"
        rows={rows}
        columns={COLUMNS}
        id={(one) => one.key}
        noun="transactions"
        empty={
          <Empty icon={<IconBook size={22} />} title="Nothing is booked">
            Charges, payouts, costs and payments are booked here, each with postings that sum to zero.
          </Empty>
        }
      />
    </>
  );
}
