import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconArrowsSplit2, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { question, read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { count } from "../../ui/format";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { useCommands } from "../../ui/shortcuts";
import { Nothing, Status, When } from "../../ui/Values";
import { NewFlow } from "./NewFlow";

type FlowRow = Shapes["FlowBodyRecord"];
type Standing = Shapes["FlowStanding"];

const flows = listed(["/api/flows", {}], (cursor, signal) => read("/api/flows", { params: { query: { cursor, limit: 100 } }, signal }));

function columns(standings: ReadonlyMap<string, Standing>): readonly Column<FlowRow>[] {
  return [
    {
      id: "name",
      label: "Name",
      width: 220,
      grow: true,
      cell: (flow) => (
        <Link data-row to="/flows/$id" params={{ id: flow.id }}>
          {flow.document.name}
        </Link>
      ),
    },
    { id: "status", label: "Status", width: 190, cell: (flow) => <Told standing={standings.get(flow.id)} /> },
    {
      id: "nodes",
      label: "Nodes",
      width: 80,
      align: "right",
      cell: (flow) => <span className="cm-number">{count(Object.keys(flow.document.draft.nodes).length)}</span>,
    },
    { id: "used", label: "Used by", width: 240, grow: true, cell: (flow) => <Campaigns standing={standings.get(flow.id)} /> },
    { id: "changed", label: "Changed", width: 160, cell: (flow) => <When at={flow.changed_at} /> },
  ];
}

/** Every flow: what is published of it, and which campaigns' callers hear it. */
export function FlowsPage() {
  const rows = useRows(flows);
  const { data } = useQuery(question("/api/flow-standings"));
  const mayChange = useMay("change");
  const [opened, acts] = useDisclosure();
  const { open } = acts;
  const standings = useMemo(() => new Map((data?.items ?? []).map((one) => [one.flow_id as string, one])), [data]);
  const shown = useMemo(() => columns(standings), [standings]);
  useCommands(useMemo(() => (mayChange ? [{ keys: "n", label: "New flow", group: "Flows", run: open }] : []), [mayChange, open]));
  const begin = mayChange ? (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      New flow
    </Button>
  ) : undefined;
  return (
    <Page title="Flows" fill actions={begin}>
      <DataTable
        label="Flows"
        rows={rows}
        columns={shown}
        id={(flow) => flow.id}
        noun={rows.rows.length === 1 ? "flow" : "flows"}
        empty={
          <Empty icon={<IconArrowsSplit2 size={22} />} title="No flows yet" action={begin}>
            A flow is what callers hear before they are routed: greetings, menus, questions. Begin with a template for your trade, change it on
            the canvas, try it with a keypad, and publish it when it is right.
          </Empty>
        }
        compact={(flow) => (
          <Link data-row to="/flows/$id" params={{ id: flow.id }}>
            {flow.document.name}
            <br />
            <Told standing={standings.get(flow.id)} />
          </Link>
        )}
      />
      {mayChange && <NewFlow opened={opened} onClose={acts.close} />}
    </Page>
  );
}

function Told({ standing }: { standing: Standing | undefined }) {
  if (standing === undefined) return <Nothing />;
  if (standing.version === null) return <Status tone="info">Never published</Status>;
  return standing.changed ? (
    <Status tone="warn">{`Version ${standing.version}, draft differs`}</Status>
  ) : (
    <Status tone="good">{`Version ${standing.version}`}</Status>
  );
}

function Campaigns({ standing }: { standing: Standing | undefined }) {
  if (standing === undefined || standing.campaigns.length === 0) return <Nothing />;
  const names = standing.campaigns.map((one) => one.name).join(", ");
  return (
    <span className="cm-clip" title={names}>
      {names}
    </span>
  );
}
