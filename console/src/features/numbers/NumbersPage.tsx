import { Button, Modal, Select, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { IconHash, IconPhoneOff, IconPlugConnected, IconPlus, IconSearch } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { type RecordOf, recordsOf } from "../../api/records";
import { useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { Name } from "../../ui/Name";
import { Page } from "../../ui/Page";
import { inForce } from "../../ui/record/assignments";
import { PageTabs, useTab } from "../../ui/record/PageTabs";
import { useRows } from "../../ui/rows";
import { Nothing, Phone, RecordStatus, When } from "../../ui/Values";
import { AddNumbers } from "./AddNumbers";
import { NewConnection } from "./NewConnection";
import classes from "./Numbers.module.css";

type Number_ = RecordOf<"numbers">;
type Unknown = Shapes["UnknownCall"];

const TABS = { inventory: "Inventory", unknown: "Unknown calls", connections: "Connections" } as const;
const STATES = ["available", "assigned", "cooldown", "disabled"];

const NUMBERS: readonly Column<Number_>[] = [
  {
    id: "number",
    label: "Number",
    width: 160,
    cell: (one) => (
      <Link to="/numbers/$id" params={{ id: one.id }} data-row>
        <Phone number={one.document.number} />
      </Link>
    ),
  },
  { id: "status", label: "State", width: 120, cell: (one) => <RecordStatus status={one.document.status} /> },
  { id: "campaign", label: "Leads to", width: 220, grow: true, cell: (one) => <LeadsTo number={one} /> },
  { id: "publisher", label: "Publisher", width: 180, grow: true, cell: (one) => <Name id={inForce(one.document, new Date())?.publisher_id} /> },
  { id: "connection", label: "Connection", width: 150, cell: (one) => <Name id={one.document.connection_id} /> },
  { id: "provisioning", label: "At the carrier", width: 130, extra: true, cell: (one) => one.document.provisioning.replace("_", " ") },
  {
    id: "tags",
    label: "Tags",
    width: 180,
    grow: true,
    cell: (one) => <span className="cm-clip">{Object.entries(one.document.tags).map(([name, value]) => `${name}=${value}`).join(", ")}</span>,
  },
];

function LeadsTo({ number }: { number: Number_ }) {
  const split = inForce(number.document, new Date())?.split ?? [];
  if (split.length === 0) return <Nothing />;
  return (
    <span className="cm-clip">
      <Name id={split[0]?.campaign_id} />
      {split.length > 1 && ` ${split[0]?.percent}% and ${split.length - 1} more`}
    </span>
  );
}

const UNKNOWN: readonly Column<Unknown>[] = [
  { id: "at", label: "When", width: 160, cell: (one) => <When at={one.at} /> },
  { id: "dialed", label: "Called", width: 160, cell: (one) => <Phone number={one.dialed} /> },
  { id: "caller", label: "Caller", width: 160, cell: (one) => <Phone number={one.caller} /> },
  { id: "connection", label: "Connection", width: 180, grow: true, cell: (one) => <Name id={one.connection_id} /> },
];

const CONNECTIONS: readonly Column<RecordOf<"connections">>[] = [
  {
    id: "name",
    label: "Name",
    width: 200,
    grow: true,
    cell: (one) => (
      <Link to="/connections/$id" params={{ id: one.id }} data-row>
        {one.document.name}
      </Link>
    ),
  },
  { id: "carrier", label: "Carrier", width: 130, cell: (one) => one.document.carrier },
  { id: "status", label: "State", width: 120, cell: (one) => <RecordStatus status={one.document.status} /> },
  { id: "url", label: "Reached at", width: 260, grow: true, cell: (one) => <span className="cm-mono">{one.document.public_base_url}</span> },
];

/** Numbers, calls to numbers that nobody knows, and the carriers that bring the calls. */
export function NumbersPage() {
  const [tab, setTab] = useTab(Object.keys(TABS));
  const mayChange = useMay("change");
  const [adding, add] = useDisclosure();
  const [connecting, connect] = useDisclosure();
  const actions =
    mayChange &&
    (tab === "connections" ? (
      <Button leftSection={<IconPlus size={16} />} onClick={connect.open}>
        Connect a carrier
      </Button>
    ) : (
      <Button leftSection={<IconPlus size={16} />} onClick={add.open}>
        Add numbers
      </Button>
    ));
  return (
    <Page title="Numbers" fill actions={actions} bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="numbers-tab" />}>
      <div id="numbers-tab" role="tabpanel" aria-label={TABS[tab as keyof typeof TABS]} className={classes.panel}>
        {tab === "inventory" && <Inventory action={actions} />}
        {tab === "unknown" && <UnknownCalls />}
        {tab === "connections" && <Connections action={actions} />}
      </div>
      <Modal opened={adding} onClose={add.close} title="Add numbers" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        <AddNumbers onDone={add.close} />
      </Modal>
      <Modal opened={connecting} onClose={connect.close} title="Connect a carrier" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        <NewConnection onDone={connect.close} />
      </Modal>
    </Page>
  );
}

function Inventory({ action }: { action: React.ReactNode }) {
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const [status, setStatus] = useState<string | null>(null);
  const rows = useRows(recordsOf("numbers", { ...(wanted === "" ? {} : { search: wanted }), ...(status === null ? {} : { status }) }));
  return (
    <>
      <div className={classes.bar}>
        <TextInput aria-label="Search numbers" placeholder="Digits" leftSection={<IconSearch size={15} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} />
        <Select aria-label="State" placeholder="Any state" clearable data={STATES} value={status} onChange={setStatus} w={140} />
      </div>
      <DataTable
        label="Numbers"
        rows={rows}
        columns={NUMBERS}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "number" : "numbers"}
        compact={(one) => (
          <Link to="/numbers/$id" params={{ id: one.id }} data-row>
            <Phone number={one.document.number} /> <RecordStatus status={one.document.status} />
          </Link>
        )}
        empty={
          <Empty icon={<IconHash size={22} />} title={wanted === "" && status === null ? "No numbers yet" : "No number is like that"} action={action}>
            Connect a carrier, point its numbers at the connection’s address, and paste them here, one a line.
          </Empty>
        }
      />
    </>
  );
}

const unknownCalls = listed(["/api/unknown-calls", "rows"], (cursor, signal) => read("/api/unknown-calls", { params: { query: { cursor, limit: 200 } }, signal }));

function UnknownCalls() {
  const rows = useRows(unknownCalls);
  return (
    <DataTable
      label="Unknown calls"
      rows={rows}
      columns={UNKNOWN}
      id={(one) => `${one.connection_id} ${one.carrier_ref}`}
      noun={rows.rows.length === 1 ? "unknown call" : "unknown calls"}
      empty={
        <Empty icon={<IconPhoneOff size={22} />} title="No unknown calls">
          A call to a number that is not in the inventory, or leads to no campaign, is answered politely and told of here.
        </Empty>
      }
    />
  );
}

function Connections({ action }: { action: React.ReactNode }) {
  const rows = useRows(recordsOf("connections"));
  return (
    <DataTable
      label="Connections"
      rows={rows}
      columns={CONNECTIONS}
      id={(one) => one.id}
      noun={rows.rows.length === 1 ? "connection" : "connections"}
      empty={
        <Empty icon={<IconPlugConnected size={22} />} title="No carrier is connected" action={action}>
          A connection is one account at a carrier: Twilio, SignalWire, Telnyx, Somleng or our own gateway.
        </Empty>
      }
    />
  );
}
