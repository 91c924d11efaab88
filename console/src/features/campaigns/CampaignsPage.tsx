import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlus, IconSearch, IconSpeakerphone } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
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

type Campaign = RecordOf<"campaigns">;
type Figures = Shapes["Figures"];

const STATES = ["live", "paused", "draft", "archived"];

function columns(today: ReadonlyMap<string | null | undefined, Figures>): readonly Column<Campaign>[] {
  const of = (one: Campaign) => today.get(one.id);
  return [
    {
      id: "name",
      label: "Name",
      width: 200,
      grow: true,
      cell: (one) => (
        <Link to="/campaigns/$id" params={{ id: one.id }} data-row>
          {one.document.name}
        </Link>
      ),
    },
    { id: "vertical", label: "Vertical", width: 140, cell: (one) => one.document.vertical },
    { id: "status", label: "State", width: 110, cell: (one) => <RecordStatus status={one.document.status} /> },
    { id: "strategy", label: "Strategy", width: 120, extra: true, cell: (one) => one.document.plan.strategy.replace("_", " ") },
    { id: "offers", label: "Offers", width: 80, align: "right", cell: (one) => count(one.document.plan.entries.length) },
    { id: "received", label: "Received", width: 100, align: "right", cell: (one) => count(of(one)?.received ?? 0) },
    {
      id: "connected",
      label: "Connected",
      width: 120,
      align: "right",
      cell: (one) => <Ratio part={of(one)?.connected} whole={of(one)?.received} of="received" />,
    },
    {
      id: "converted",
      label: "Converted",
      width: 120,
      align: "right",
      cell: (one) => <Ratio part={of(one)?.converted} whole={of(one)?.connected} of="connected" />,
    },
    { id: "revenue", label: "Revenue", width: 120, align: "right", cell: (one) => <Money amount={of(one)?.revenue ?? "0"} round="cents" /> },
    { id: "profit", label: "Profit", width: 120, align: "right", cell: (one) => <Money amount={of(one)?.profit ?? "0"} round="cents" signed /> },
  ];
}

function Ratio({ part, whole, of }: { part: number | null | undefined; whole: number | null | undefined; of: string }) {
  return (
    <span title={`of ${count(whole ?? 0)} ${of}`}>
      {count(part ?? 0)} <small>{percent(part ?? 0, whole ?? 0)}</small>
    </span>
  );
}

/** All campaigns with today's figures. */
export function CampaignsPage() {
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const [status, setStatus] = useState<string | null>(null);
  const rows = useRows(
    recordsOf("campaigns", {
      ...(wanted === "" ? {} : { search: wanted }),
      ...(status === null ? {} : { status, archived: status === "archived" }),
    }),
  );
  const { data } = useQuery({
    ...question("/api/facts", {
      params: { query: { metrics: "received,connected,converted,revenue,profit", by: "campaign_id", range: "today", limit: 1000 } },
    }),
    refetchInterval: 5_000,
  });
  const shown = useMemo(() => columns(new Map(data?.groups.map((one) => [one.by.campaign_id, one.figures]))), [data]);
  const mayChange = useMay("change");
  const navigate = useNavigate();
  const fresh = mayChange && (
    <Button leftSection={<IconPlus size={16} />} onClick={() => void navigate({ to: "/campaigns/new" })}>
      New campaign
    </Button>
  );
  return (
    <Page
      title="Campaigns"
      fill
      note={
        <>
          <span>figures of today</span> <Zone />
        </>
      }
      actions={fresh}
      bar={
        <>
          <TextInput
            aria-label="Search campaigns"
            placeholder="Search"
            leftSection={<IconSearch size={15} />}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
          />
          <Select aria-label="State" placeholder="Any state" clearable data={STATES} value={status} onChange={setStatus} w={140} />
        </>
      }
    >
      <DataTable
        label="Campaigns"
        rows={rows}
        columns={shown}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "campaign" : "campaigns"}
        compact={(one) => (
          <Link to="/campaigns/$id" params={{ id: one.id }} data-row>
            <b>{one.document.name}</b> <RecordStatus status={one.document.status} />
          </Link>
        )}
        empty={
          <Empty icon={<IconSpeakerphone size={22} />} title={wanted === "" && status === null ? "No campaigns yet" : "No campaign is like that"} action={fresh}>
            A campaign brings numbers, a flow, offers, caps and hours together for one vertical and geography. Trying it out with a
            simulated call comes before going live.
          </Empty>
        }
      />
    </Page>
  );
}
