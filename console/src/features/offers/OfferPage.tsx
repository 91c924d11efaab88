import { NumberInput, Select, Skeleton, Stack, TagsInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { Shapes } from "../../api/client";
import { recordOf, type RecordOf } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { OwnerCapMeters } from "../../ui/record/CapMeters";
import { History, Scheduled } from "../../ui/record/History";
import { HoursField } from "../../ui/record/HoursField";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { PageTabs, Panel, useTab } from "../../ui/record/PageTabs";
import { PriceFields, priceText } from "../../ui/record/PriceFields";
import { RecentCalls } from "../../ui/record/RecentCalls";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { RefusalsPart } from "../../ui/record/RefusalsPart";
import { SaveBar } from "../../ui/record/SaveBar";
import { TodayTiles } from "../../ui/record/Tiles";
import { type Edit, useEdit } from "../../ui/record/useEdit";
import { weekText } from "../../ui/record/week";
import { ZoneSelect } from "../../ui/record/ZoneSelect";
import { Nothing, RecordStatus } from "../../ui/Values";
import { BidderTab } from "./BidderTab";
import { MoreToday } from "./MoreToday";

const TABS = {
  overview: "Overview",
  terms: "Terms",
  caps: "Caps and hours",
  bidder: "Ping and post",
  why: "Why not more",
  history: "History",
} as const;
const SHOWN = ["name", "destination", "price", "hours", "limits", "time_zone", "required_fields", "bidder"];
const CONVERTS = [
  { value: "duration", label: "The call lasts long enough" },
  { value: "postback", label: "The buyer reports a conversion" },
  { value: "manual", label: "Somebody says so" },
];

/** One offer. */
export function OfferPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("offers", id));
  if (data === undefined)
    return (
      <Page title="Offer" above={{ to: "/offers", label: "Offers" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  return <Loaded key={data.id} record={data} />;
}

function destinationText(destination: Shapes["OfferBody"]["destination"]): string {
  return destination.kind === "phone" ? phone(destination.number) : destination.uri;
}

function Loaded({ record }: { record: RecordOf<"offers"> }) {
  const edit = useEdit("offers", record);
  const { currency } = useAccount();
  const [tab, setTab] = useTab(Object.keys(TABS));
  const { name, status, buyer_id, destination, price, hours } = record.document;
  return (
    <Page
      title={name}
      above={{ to: "/offers", label: "Offers" }}
      note={<RecordStatus status={status} />}
      actions={<RecordActs noun="offers" record={record} name={name} status={status} />}
      bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="offer-tab" />}
    >
      <Panel id="offer-tab" label={TABS[tab as keyof typeof TABS]}>
        {tab === "overview" && (
          <>
            <TodayTiles by="offer_id" id={record.id} />
            <div className={classes.columns}>
              <RecentCalls by="offer_id" id={record.id} also="campaign_id" />
              <Stack>
                <Part title="Terms">
                  <Pairs
                    pairs={[
                      [
                        "Buyer",
                        <Link key="buyer" to="/buyers/$id" params={{ id: buyer_id }}>
                          <Name id={buyer_id} />
                        </Link>,
                      ],
                      ["Calls go to", destinationText(destination)],
                      ["Price", priceText(price, currency)],
                      ["Hours", hours === null ? "Always" : `${weekText(hours.spans)} (${hours.time_zone})`],
                      ["Bids", record.document.bidder?.mode ?? <Nothing key="none" />],
                    ]}
                  />
                </Part>
                <Part title="Caps" action={<MoreToday record={record} />}>
                  <OwnerCapMeters kind="offer" id={record.id} />
                </Part>
              </Stack>
            </div>
          </>
        )}
        {tab === "terms" && <Terms edit={edit} />}
        {tab === "caps" && <CapsAndHours edit={edit} />}
        {tab === "bidder" && <BidderTab edit={edit} id={record.id} />}
        {tab === "why" && <RefusalsPart id={record.id} name={name} />}
        {tab === "history" && (
          <div className={classes.columns}>
            <History noun="offers" id={record.id} />
            <Scheduled noun="offers" id={record.id} />
          </div>
        )}
      </Panel>
      <SaveBar edit={edit} shown={SHOWN} />
    </Page>
  );
}

function Terms({ edit }: { edit: Edit<"offers"> }) {
  const disabled = !useMay("change");
  const { draft } = edit;
  const { destination } = draft;
  return (
    <div className={classes.columns}>
      <Part title="Where calls go">
        <Stack gap="sm">
          <TextInput label="Name" disabled={disabled} value={draft.name} onChange={(event) => edit.set({ name: event.currentTarget.value })} error={fieldError(edit.error, "name")} />
          <TextInput
            label={destination.kind === "phone" ? "Number" : "SIP address"}
            disabled={disabled}
            value={destination.kind === "phone" ? destination.number : destination.uri}
            onChange={(event) => {
              const to = event.currentTarget.value.trim();
              edit.set({ destination: destination.kind === "phone" ? { ...destination, number: to } : { ...destination, uri: to } });
            }}
            error={fieldError(edit.error, "destination")}
          />
          <NumberInput label="Rings for" suffix=" s" min={5} max={60} disabled={disabled} value={draft.ring_timeout_s} onChange={(value) => edit.set({ ring_timeout_s: Number(value) })} error={fieldError(edit.error, "ring_timeout_s")} />
          <TextInput label="Whisper to the buyer" placeholder="None" disabled={disabled} value={draft.whisper} onChange={(event) => edit.set({ whisper: event.currentTarget.value })} error={fieldError(edit.error, "whisper")} />
          <TagsInput
            label="Fields a call must have"
            placeholder="zip"
            disabled={disabled}
            value={draft.required_fields}
            onChange={(required_fields) => edit.set({ required_fields })}
            error={fieldError(edit.error, "required_fields")}
          />
        </Stack>
      </Part>
      <Part title="What is paid">
        <Stack gap="sm">
          <PriceFields value={draft.price} disabled={disabled} onChange={(price) => edit.set({ price })} error={fieldError(edit.error, "price")} />
          <Select
            label="Owed when"
            allowDeselect={false}
            disabled={disabled}
            data={CONVERTS}
            value={draft.converts_on}
            onChange={(value) => value !== null && edit.set({ converts_on: value as typeof draft.converts_on })}
            error={fieldError(edit.error, "converts_on")}
          />
        </Stack>
      </Part>
    </div>
  );
}

function CapsAndHours({ edit }: { edit: Edit<"offers"> }) {
  const disabled = !useMay("change");
  const { draft } = edit;
  return (
    <Stack>
      <div className={classes.columns}>
        <Part title="Caps" note={draft.time_zone.replaceAll("_", " ")}>
          <LimitsFields value={draft.limits} disabled={disabled} onChange={(limits) => edit.set({ limits })} error={fieldError(edit.error, "limits")} />
          <div style={{ height: 12 }} />
          <ZoneSelect label="Time zone of caps" disabled={disabled} value={draft.time_zone} onChange={(time_zone) => edit.set({ time_zone })} error={fieldError(edit.error, "time_zone")} />
        </Part>
        <Part title="Used now" action={<MoreToday record={edit.record} />}>
          <OwnerCapMeters kind="offer" id={edit.record.id} />
        </Part>
      </div>
      <Part title="Hours">
        <HoursField value={draft.hours} zone={draft.time_zone} disabled={disabled} onChange={(hours) => edit.set({ hours })} error={fieldError(edit.error, "hours")} />
      </Part>
    </Stack>
  );
}
