import { IconFileText, IconGavel, IconHistory, IconPlugConnected } from "@tabler/icons-react";
import { read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { type RecordOf, recordsOf } from "../../api/records";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { count, words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { useRows } from "../../ui/rows";
import { Money, Nothing, Phone, RecordStatus, When } from "../../ui/Values";

type Audit = Shapes["AuditRow"];
type Auction = Shapes["AuctionSummary"];
type Lead = Shapes["LeadSummary"];

const PAGE = 200;
const audit = listed(["/api/audit", "rows"], (cursor, signal) => read("/api/audit", { params: { query: { cursor, limit: PAGE } }, signal }));
const auctions = listed(["/api/auctions", "rows"], (cursor, signal) => read("/api/auctions", { params: { query: { cursor, limit: PAGE } }, signal }));
const leads = listed(["/api/leads", "rows"], (cursor, signal) => read("/api/leads", { params: { query: { cursor, limit: PAGE } }, signal }));

const AUDIT: readonly Column<Audit>[] = [
  { id: "at", label: "When", width: 160, cell: (one) => <When at={one.at} /> },
  { id: "who", label: "Who", width: 170, grow: true, cell: (one) => <Name id={one.who} /> },
  { id: "what", label: "Did", width: 140, cell: (one) => words(one.act.what) },
  { id: "kind", label: "To", width: 130, cell: (one) => words(one.act.kind) },
  { id: "target", label: "Which", width: 190, grow: true, cell: (one) => <Name id={one.act.target_id} /> },
  { id: "note", label: "Why", width: 180, grow: true, cell: (one) => (one.note === "" ? <Nothing /> : <span className="cm-clip">{one.note}</span>) },
];

/** Who did what, newest first. */
export function AuditList() {
  const rows = useRows(audit);
  return (
    <DataTable
      label="Audit log"
      rows={rows}
      columns={AUDIT}
      id={(one) => String(one.id)}
      noun="acts"
      empty={<Empty icon={<IconHistory size={22} />} title="Nothing was done yet">Every change of the configuration, of money and of access is told here.</Empty>}
    />
  );
}

const AUCTIONS: readonly Column<Auction>[] = [
  { id: "at", label: "When", width: 160, cell: (one) => <When at={one.at} /> },
  { id: "campaign", label: "Campaign", width: 170, grow: true, cell: (one) => <Name id={one.campaign_id} /> },
  { id: "channel", label: "For", width: 100, cell: (one) => words(one.channel) },
  { id: "pings", label: "Asked", width: 80, align: "right", cell: (one) => (one.pings === null ? <Nothing /> : count(one.pings)) },
  { id: "bids", label: "Bids", width: 80, align: "right", cell: (one) => (one.bids === null ? <Nothing /> : count(one.bids)) },
  { id: "spent", label: "Took", width: 90, align: "right", cell: (one) => `${count(one.spent_ms)} ms` },
  { id: "winner", label: "Winner", width: 170, grow: true, cell: (one) => <Name id={one.winner_offer_id} /> },
  { id: "price", label: "Price", width: 110, align: "right", cell: (one) => <Money amount={one.clearing_price} /> },
];

/** Auctions, newest first. */
export function AuctionsList() {
  const rows = useRows(auctions);
  return (
    <DataTable
      label="Auctions"
      rows={rows}
      columns={AUCTIONS}
      id={(one) => one.id}
      noun={rows.rows.length === 1 ? "auction" : "auctions"}
      empty={<Empty icon={<IconGavel size={22} />} title="No auction yet">When an offer asks its buyer for bids, each auction is kept with its pings and bids.</Empty>}
    />
  );
}

const ENDPOINTS: readonly Column<RecordOf<"endpoints">>[] = [
  { id: "name", label: "Name", width: 200, grow: true, cell: (one) => one.document.name },
  { id: "status", label: "State", width: 110, cell: (one) => <RecordStatus status={one.document.status} /> },
  { id: "campaign", label: "Sells to", width: 170, grow: true, cell: (one) => <Name id={one.document.campaign_id} /> },
  { id: "publisher", label: "Publisher", width: 170, grow: true, cell: (one) => <Name id={one.document.publisher_id} /> },
  { id: "numbers", label: "Numbers", width: 90, align: "right", cell: (one) => count(one.document.numbers.length) },
  { id: "hold", label: "Holds", width: 90, cell: (one) => one.document.hold },
];

/** Where others ask us for bids. */
export function EndpointsList() {
  const rows = useRows(recordsOf("endpoints"));
  return (
    <DataTable
      label="RTB endpoints"
      rows={rows}
      columns={ENDPOINTS}
      id={(one) => one.id}
      noun={rows.rows.length === 1 ? "endpoint" : "endpoints"}
      empty={<Empty icon={<IconPlugConnected size={22} />} title="No RTB endpoint">By an endpoint a seller asks us for a bid, gets a number to send the call to, and is paid as bid.</Empty>}
    />
  );
}

const LEADS: readonly Column<Lead>[] = [
  { id: "at", label: "Sent", width: 160, cell: (one) => <When at={one.submitted_at} /> },
  { id: "phone", label: "Person", width: 150, cell: (one) => <Phone number={one.phone} /> },
  { id: "channel", label: "Kind", width: 100, cell: (one) => words(one.channel) },
  { id: "state", label: "State", width: 110, cell: (one) => words(one.state) },
  { id: "campaign", label: "Campaign", width: 170, grow: true, cell: (one) => <Name id={one.campaign_id} /> },
  { id: "publisher", label: "Publisher", width: 150, grow: true, cell: (one) => <Name id={one.publisher_id} /> },
  { id: "buyer", label: "Buyer", width: 150, grow: true, cell: (one) => <Name id={one.buyer_id} /> },
  { id: "revenue", label: "Revenue", width: 110, align: "right", cell: (one) => <Money amount={one.revenue} /> },
];

/** Forms and callbacks that were sent to be sold. */
export function LeadsList() {
  const rows = useRows(leads);
  return (
    <DataTable
      label="Leads"
      rows={rows}
      columns={LEADS}
      id={(one) => one.id}
      noun={rows.rows.length === 1 ? "lead" : "leads"}
      empty={<Empty icon={<IconFileText size={22} />} title="No leads yet">Forms that publishers send are auctioned and posted to the winner; each is told here.</Empty>}
    />
  );
}
