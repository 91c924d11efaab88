import { Select, Skeleton, Stack, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { recordOf, type RecordOf } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { OwnerCapMeters } from "../../ui/record/CapMeters";
import { History, Scheduled } from "../../ui/record/History";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { PageTabs, Panel, useTab } from "../../ui/record/PageTabs";
import { priceText, TermsFields } from "../../ui/record/PriceFields";
import { RecentCalls } from "../../ui/record/RecentCalls";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { SaveBar } from "../../ui/record/SaveBar";
import { TodayTiles } from "../../ui/record/Tiles";
import { useEdit } from "../../ui/record/useEdit";
import { ZoneSelect } from "../../ui/record/ZoneSelect";
import { turned } from "../../ui/record/amounts";
import { Money, RecordStatus } from "../../ui/Values";

const TABS = { overview: "Overview", terms: "Terms and caps", history: "History" } as const;

/** One publisher. */
export function PublisherPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("publishers", id));
  if (data === undefined)
    return (
      <Page title="Publisher" above={{ to: "/publishers", label: "Publishers" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  return <Loaded key={data.id} record={data} />;
}

function Loaded({ record }: { record: RecordOf<"publishers"> }) {
  const edit = useEdit("publishers", record);
  const disabled = !useMay("change");
  const { currency } = useAccount();
  const [tab, setTab] = useTab(Object.keys(TABS));
  const { draft } = edit;
  const { name, status, terms } = record.document;
  const { data: balances } = useQuery(question("/api/balances", { params: { query: { account: "publisher", owner_id: record.id } } }));
  return (
    <Page
      title={name}
      above={{ to: "/publishers", label: "Publishers" }}
      note={<RecordStatus status={status} />}
      actions={<RecordActs noun="publishers" record={record} name={name} status={status} />}
      bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="publisher-tab" />}
    >
      <Panel id="publisher-tab" label={TABS[tab as keyof typeof TABS]}>
        {tab === "overview" && (
          <>
            <TodayTiles by="publisher_id" id={record.id} />
            <div className={classes.columns}>
              <RecentCalls by="publisher_id" id={record.id} also="campaign_id" />
              <Stack>
                <Part title="Terms and balance">
                  <Pairs
                    pairs={[
                      ["Earns", priceText(terms.payout, currency)],
                      ["Paid", terms.only_if_converted ? "Only if the buyer pays" : "Whether or not the buyer pays"],
                      ["We owe", <Money key="balance" amount={turned(balances?.items[0]?.amount ?? "0")} />],
                    ]}
                  />
                </Part>
                <Part title="Caps">
                  <OwnerCapMeters kind="publisher" id={record.id} />
                </Part>
              </Stack>
            </div>
          </>
        )}
        {tab === "terms" && (
          <div className={classes.columns}>
            <Part title="Terms" note="where a campaign has none of its own">
              <Stack gap="sm">
                <TextInput label="Name" disabled={disabled} value={draft.name} onChange={(event) => edit.set({ name: event.currentTarget.value })} error={fieldError(edit.error, "name")} />
                <TermsFields value={draft.terms} disabled={disabled} onChange={(next) => edit.set({ terms: next })} error={fieldError(edit.error, "terms")} />
                <Textarea label="Notes for ourselves" autosize minRows={2} disabled={disabled} value={draft.notes} onChange={(event) => edit.set({ notes: event.currentTarget.value })} />
              </Stack>
            </Part>
            <Part title="Caps">
              <Stack gap="sm">
                <LimitsFields whose="publisher" value={draft.limits} disabled={disabled} onChange={(limits) => edit.set({ limits })} error={fieldError(edit.error, "limits")} />
                <Select
                  label="When a cap is full"
                  allowDeselect={false}
                  disabled={disabled}
                  data={[
                    { value: "block", label: "Their calls are refused" },
                    { value: "unpaid", label: "Their calls are taken unpaid" },
                  ]}
                  value={draft.when_capped}
                  onChange={(value) => edit.set({ when_capped: value === "unpaid" ? "unpaid" : "block" })}
                />
                <ZoneSelect label="Time zone of caps" disabled={disabled} value={draft.time_zone} onChange={(time_zone) => edit.set({ time_zone })} error={fieldError(edit.error, "time_zone")} />
              </Stack>
            </Part>
          </div>
        )}
        {tab === "history" && (
          <div className={classes.columns}>
            <History noun="publishers" id={record.id} />
            <Scheduled noun="publishers" id={record.id} />
          </div>
        )}
      </Panel>
      <SaveBar edit={edit} shown={["name", "terms", "limits", "time_zone"]} />
    </Page>
  );
}
