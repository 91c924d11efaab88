import { Button, Modal, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { IconBuildingStore, IconPlus, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { question, type Shapes } from "../../api/client";
import { type RecordOf, recordsOf } from "../../api/records";
import { useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { count, percent } from "../../ui/format";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { Money, RecordStatus, Zone } from "../../ui/Values";
import { NewBuyer } from "./NewBuyer";

type Buyer = RecordOf<"buyers">;

function columns(today: ReadonlyMap<string | null | undefined, Shapes["Figures"]>, balances: ReadonlyMap<string, string>): readonly Column<Buyer>[] {
  const of = (one: Buyer) => today.get(one.id);
  return [
    {
      id: "name",
      label: "Name",
      width: 190,
      grow: true,
      cell: (one) => (
        <Link to="/buyers/$id" params={{ id: one.id }} data-row>
          {one.document.name}
        </Link>
      ),
    },
    { id: "status", label: "State", width: 110, cell: (one) => <RecordStatus status={one.document.status} /> },
    { id: "billing", label: "Pays", width: 110, cell: (one) => (one.document.billing === "prepaid" ? "ahead" : "afterwards") },
    { id: "balance", label: "Owes us", width: 130, align: "right", cell: (one) => <Money amount={balances.get(one.id) ?? "0"} /> },
    { id: "connected", label: "Connected today", width: 140, align: "right", cell: (one) => count(of(one)?.connected ?? 0) },
    {
      id: "converted",
      label: "Converted",
      width: 130,
      align: "right",
      cell: (one) => (
        <span title={`of ${count(of(one)?.connected ?? 0)} connected`}>
          {count(of(one)?.converted ?? 0)} <small>{percent(of(one)?.converted ?? 0, of(one)?.connected ?? 0)}</small>
        </span>
      ),
    },
    { id: "revenue", label: "Revenue today", width: 130, align: "right", cell: (one) => <Money amount={of(one)?.revenue ?? "0"} round="cents" /> },
  ];
}

/** All buyers, what they owe or paid ahead, and what they bought today. */
export function BuyersPage() {
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const [opened, acts] = useDisclosure();
  const rows = useRows(recordsOf("buyers", wanted === "" ? {} : { search: wanted }));
  const { data: facts } = useQuery({
    ...question("/api/facts", { params: { query: { metrics: "connected,converted,revenue", by: "buyer_id", range: "today", limit: 1000 } } }),
    refetchInterval: 10_000,
  });
  const { data: balances } = useQuery(question("/api/balances", { params: { query: { account: "buyer" } } }));
  const shown = useMemo(
    () =>
      columns(
        new Map(facts?.groups.map((one) => [one.by.buyer_id, one.figures])),
        new Map(balances?.items.map((one) => [one.owner_id, one.amount])),
      ),
    [facts, balances],
  );
  const fresh = useMay("change") && (
    <Button leftSection={<IconPlus size={16} />} onClick={acts.open}>
      New buyer
    </Button>
  );
  return (
    <Page
      title="Buyers"
      fill
      note={<Zone />}
      actions={fresh}
      bar={
        <TextInput
          aria-label="Search buyers"
          placeholder="Search"
          leftSection={<IconSearch size={15} />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
        />
      }
    >
      <DataTable
        label="Buyers"
        rows={rows}
        columns={shown}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "buyer" : "buyers"}
        compact={(one) => (
          <Link to="/buyers/$id" params={{ id: one.id }} data-row>
            <b>{one.document.name}</b> <RecordStatus status={one.document.status} />
          </Link>
        )}
        empty={
          <Empty icon={<IconBuildingStore size={22} />} title={wanted === "" ? "No buyers yet" : "No buyer is called that"} action={fresh}>
            A buyer pays for calls. Each has one or more offers: where their calls go, what they pay, their caps and hours.
          </Empty>
        }
      />
      <Modal opened={opened} onClose={acts.close} title="New buyer" closeButtonProps={{ "aria-label": "Close" }}>
        <NewBuyer onDone={acts.close} />
      </Modal>
    </Page>
  );
}
