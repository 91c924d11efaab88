import { Button, Select, Skeleton, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { IconTag } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { recordOf, type RecordOf } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { OwnerCapMeters } from "../../ui/record/CapMeters";
import { History, Scheduled } from "../../ui/record/History";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { MoneyInput } from "../../ui/record/MoneyInput";
import { PageTabs, Panel, useTab } from "../../ui/record/PageTabs";
import { priceText } from "../../ui/record/PriceFields";
import { RecentCalls } from "../../ui/record/RecentCalls";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { RefusalsPart } from "../../ui/record/RefusalsPart";
import { SaveBar } from "../../ui/record/SaveBar";
import { TodayTiles } from "../../ui/record/Tiles";
import { useEdit } from "../../ui/record/useEdit";
import { ZoneSelect } from "../../ui/record/ZoneSelect";
import { Money, RecordStatus } from "../../ui/Values";

const TABS = { overview: "Overview", terms: "Terms and caps", why: "Why not more", history: "History" } as const;
const SHOWN = ["name", "credit_limit", "time_zone", "limits"];

/** One buyer. */
export function BuyerPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("buyers", id));
  if (data === undefined)
    return (
      <Page title="Buyer" above={{ to: "/buyers", label: "Buyers" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  return <Loaded key={data.id} record={data} />;
}

function Loaded({ record }: { record: RecordOf<"buyers"> }) {
  const edit = useEdit("buyers", record);
  const disabled = !useMay("change");
  const [tab, setTab] = useTab(Object.keys(TABS));
  const { draft } = edit;
  const { name, status } = record.document;
  return (
    <Page
      title={name}
      above={{ to: "/buyers", label: "Buyers" }}
      note={<RecordStatus status={status} />}
      actions={<RecordActs noun="buyers" record={record} name={name} status={status} />}
      bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="buyer-tab" />}
    >
      <Panel id="buyer-tab" label={TABS[tab as keyof typeof TABS]}>
        {tab === "overview" && (
          <>
            <TodayTiles by="buyer_id" id={record.id} />
            <div className={classes.columns}>
              <RecentCalls by="buyer_id" id={record.id} also="campaign_id" />
              <Stack>
                <Offers id={record.id} />
                <Funds id={record.id} />
                <Part title="Caps">
                  <OwnerCapMeters kind="buyer" id={record.id} />
                </Part>
              </Stack>
            </div>
          </>
        )}
        {tab === "terms" && (
          <div className={classes.columns}>
            <Part title="Terms">
              <Stack gap="sm">
                <TextInput label="Name" disabled={disabled} value={draft.name} onChange={(event) => edit.set({ name: event.currentTarget.value })} error={fieldError(edit.error, "name")} />
                <Select
                  label="Pays"
                  allowDeselect={false}
                  disabled={disabled}
                  data={[
                    { value: "postpaid", label: "Afterwards, up to a credit limit" },
                    { value: "prepaid", label: "Ahead" },
                  ]}
                  value={draft.billing}
                  onChange={(billing) => edit.set({ billing: billing === "prepaid" ? "prepaid" : "postpaid" })}
                />
                <MoneyInput
                  label="Credit limit"
                  disabled={disabled}
                  value={draft.credit_limit}
                  onChange={(credit_limit) => edit.set({ credit_limit })}
                  error={fieldError(edit.error, "credit_limit")}
                />
                <ZoneSelect label="Time zone of caps" disabled={disabled} value={draft.time_zone} onChange={(time_zone) => edit.set({ time_zone })} error={fieldError(edit.error, "time_zone")} />
                <Textarea label="Notes for ourselves" autosize minRows={2} disabled={disabled} value={draft.notes} onChange={(event) => edit.set({ notes: event.currentTarget.value })} />
              </Stack>
            </Part>
            <Part title="Caps" note="over all of the buyer’s offers">
              <LimitsFields value={draft.limits} disabled={disabled} onChange={(limits) => edit.set({ limits })} error={fieldError(edit.error, "limits")} />
            </Part>
          </div>
        )}
        {tab === "why" && <Why id={record.id} />}
        {tab === "history" && (
          <div className={classes.columns}>
            <History noun="buyers" id={record.id} />
            <Scheduled noun="buyers" id={record.id} />
          </div>
        )}
      </Panel>
      <SaveBar edit={edit} shown={SHOWN} />
    </Page>
  );
}

function useOffers(id: string) {
  return useQuery(question("/api/offers", { params: { query: { buyer_id: id, limit: 200 } } }));
}

function Offers({ id }: { id: string }) {
  const { currency } = useAccount();
  const mayChange = useMay("change");
  const { data } = useOffers(id);
  return (
    <Part
      title="Offers"
      flush
      action={
        mayChange && (
          <Link to="/offers" search={{ new_for: id } as never} className="cm-plain">
            <Button component="span" size="compact-xs" variant="default">
              New offer
            </Button>
          </Link>
        )
      }
    >
      {data?.items.length === 0 && (
        <Empty small icon={<IconTag size={22} />} title="No offers yet">
          An offer says where calls go, what is paid, and when.
        </Empty>
      )}
      <ul className={classes.list}>
        {data?.items.map((one) => (
          <li key={one.id}>
            <div className={classes.line}>
              <Link to="/offers/$id" params={{ id: one.id }}>
                {one.document.name}
              </Link>
              <RecordStatus status={one.document.status} />
            </div>
            <div className={classes.sub}>{priceText(one.document.price, currency)}</div>
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Funds({ id }: { id: string }) {
  const { data } = useQuery({ ...question("/api/buyers/{id}/funds", { params: { path: { id } } }), refetchInterval: 15_000 });
  return (
    <Part title="Balance" action={<Link to="/money" search={{ tab: "balances" } as never}>Money</Link>}>
      {data === undefined ? (
        <Skeleton height={80} />
      ) : (
        <Pairs
          pairs={[
            ["Balance", <Money key="balance" amount={data.balance} signed />],
            ["Held for calls in the air", <Money key="held" amount={data.held} />],
            ["Credit limit", <Money key="credit" amount={data.credit_limit} />],
            ["Available for more calls", <Money key="available" amount={data.available} signed />],
          ]}
        />
      )}
    </Part>
  );
}

function Why({ id }: { id: string }) {
  const { data } = useOffers(id);
  return (
    <Stack>
      {data?.items.length === 0 && <Text size="sm">This buyer has no offers, so nothing can go to them.</Text>}
      {data?.items.map((one) => (
        <RefusalsPart key={one.id} id={one.id} name={one.document.name} />
      ))}
    </Stack>
  );
}
