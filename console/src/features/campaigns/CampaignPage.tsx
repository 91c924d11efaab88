import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { recordOf, type RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { ErrorNote } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { CapMeters, OwnerCapMeters } from "../../ui/record/CapMeters";
import { History, Scheduled } from "../../ui/record/History";
import { HoursField } from "../../ui/record/HoursField";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { PageTabs, Panel, useTab } from "../../ui/record/PageTabs";
import { RecentCalls } from "../../ui/record/RecentCalls";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { SaveBar } from "../../ui/record/SaveBar";
import { TodayTiles } from "../../ui/record/Tiles";
import { type Edit, useEdit } from "../../ui/record/useEdit";
import { ZoneSelect } from "../../ui/record/ZoneSelect";
import { fieldError } from "../../ui/ErrorNote";
import { Name } from "../../ui/Name";
import { Nothing, RecordStatus } from "../../ui/Values";
import { AuctionTab } from "./AuctionTab";
import { GoalFields, PlaceFields } from "./Fields";
import { NumbersTab } from "./NumbersTab";
import { PublishersTab } from "./PublishersTab";
import { RoutingTab } from "./RoutingTab";
import { TryIt } from "./TryIt";

const TABS = {
  overview: "Overview",
  routing: "Offers and routing",
  numbers: "Numbers",
  caps: "Caps and hours",
  publishers: "Publishers",
  auction: "Auction",
  settings: "Settings",
  try: "Try it",
  history: "History",
} as const;
const SHOWN = ["name", "vertical", "geography", "hours", "limits", "goals", "publishers", "time_zone"];

/** One campaign. */
export function CampaignPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("campaigns", id));
  if (data === undefined)
    return (
      <Page title="Campaign" above={{ to: "/campaigns", label: "Campaigns" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  return <Loaded key={data.id} record={data} />;
}

function Loaded({ record }: { record: RecordOf<"campaigns"> }) {
  const edit = useEdit("campaigns", record);
  const [tab, setTab] = useTab(Object.keys(TABS));
  const { id } = record;
  const { name, status } = record.document;
  return (
    <Page
      title={name}
      above={{ to: "/campaigns", label: "Campaigns" }}
      note={<RecordStatus status={status} />}
      actions={<RecordActs noun="campaigns" record={record} name={name} status={status} />}
      bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="campaign-tab" />}
    >
      <Panel id="campaign-tab" label={TABS[tab as keyof typeof TABS]}>
        {tab === "overview" && <Overview record={record} onTab={setTab} />}
        {tab === "routing" && <RoutingTab record={record} />}
        {tab === "numbers" && <NumbersTab id={id} />}
        {tab === "caps" && <CapsTab edit={edit} id={id} />}
        {tab === "publishers" && <PublishersTab edit={edit} id={id} />}
        {tab === "auction" && <AuctionTab edit={edit} id={id} />}
        {tab === "settings" && <SettingsTab edit={edit} />}
        {tab === "try" && <TryIt id={id} flowId={record.document.flow_id} />}
        {tab === "history" && (
          <div className={classes.columns}>
            <History noun="campaigns" id={id} />
            <Scheduled noun="campaigns" id={id} />
          </div>
        )}
      </Panel>
      <SaveBar edit={edit} shown={SHOWN} />
    </Page>
  );
}

function Overview({ record, onTab }: { record: RecordOf<"campaigns">; onTab: (tab: string) => void }) {
  const { document } = record;
  const states = document.geography.states;
  return (
    <>
      {document.status === "draft" && (
        <Part
          title="A draft takes no calls yet"
          action={
            <Button size="xs" onClick={() => onTab("try")}>
              Try it with a simulated call
            </Button>
          }
        >
          Place a simulated call first; when it goes where it should, choose Go live above.
        </Part>
      )}
      <div style={{ height: document.status === "draft" ? 16 : 0 }} />
      <TodayTiles by="campaign_id" id={record.id} />
      <div className={classes.columns}>
        <RecentCalls by="campaign_id" id={record.id} also="buyer_id" />
        <Part title="What it is">
          <Pairs
            pairs={[
              ["Vertical", document.vertical],
              ["Geography", states.length === 0 ? "Everywhere" : states.join(", ")],
              ["Flow", document.flow_id === null ? "Straight to routing" : <FlowLink key="flow" id={document.flow_id} />],
              ["Strategy", document.plan.strategy.replace("_", " ")],
              ["Offers", String(document.plan.entries.length)],
              ["Calls a day, goal", document.goals.calls_per_day ?? <Nothing key="goal" />],
              ["Time zone", document.time_zone],
            ]}
          />
        </Part>
        <Part title="Caps">
          <OwnerCapMeters kind="campaign" id={record.id} />
        </Part>
      </div>
    </>
  );
}

function FlowLink({ id }: { id: string }) {
  return (
    <Link to={`/flows/${id}` as string}>
      <Name id={id} />
    </Link>
  );
}

type Tab = { edit: Edit<"campaigns"> };

function CapsTab({ edit, id }: Tab & { id: string }) {
  const disabled = !useMay("change");
  const { data } = useQuery({ ...question("/api/campaigns/{id}/caps", { params: { path: { id } } }), refetchInterval: 10_000 });
  const others = data?.items.filter((one) => one.owner.kind !== "campaign" && one.caps.length > 0) ?? [];
  return (
    <>
      <div className={classes.columns}>
        <Part title="Caps of this campaign" note={edit.draft.time_zone.replaceAll("_", " ")}>
          <LimitsFields value={edit.draft.limits} disabled={disabled} onChange={(limits) => edit.set({ limits })} error={fieldError(edit.error, "limits")} />
        </Part>
        <Part title="Used now">
          <OwnerCapMeters kind="campaign" id={id} />
        </Part>
      </div>
      <div style={{ height: 16 }} />
      <Part title="Hours">
        <HoursField
          value={edit.draft.hours}
          zone={edit.draft.time_zone}
          disabled={disabled}
          onChange={(hours) => edit.set({ hours })}
          error={fieldError(edit.error, "hours")}
        />
      </Part>
      <div style={{ height: 16 }} />
      {others.length > 0 && (
        <div className={classes.columns}>
          {others.map((one) => (
            <Part key={`${one.owner.kind} ${one.owner.id}`} title={one.owner.kind.replaceAll("_", " ")} note={<Name id={one.owner.id.split("/")[0]} />}>
              <CapMeters owner={one} />
            </Part>
          ))}
        </div>
      )}
    </>
  );
}

function SettingsTab({ edit }: Tab) {
  const disabled = !useMay("change");
  return (
    <div className={classes.columns}>
      <Part title="Vertical and geography">
        <PlaceFields value={edit.draft} onChange={edit.set} error={edit.error} disabled={disabled} />
      </Part>
      <Part title="Goals and time">
        <GoalFields value={edit.draft.goals} onChange={(goals) => edit.set({ goals })} error={edit.error} disabled={disabled} />
        <div style={{ height: 14 }} />
        <ZoneSelect
          label="Time zone of caps"
          value={edit.draft.time_zone}
          disabled={disabled}
          onChange={(time_zone) => edit.set({ time_zone })}
          error={fieldError(edit.error, "time_zone")}
        />
      </Part>
    </div>
  );
}
