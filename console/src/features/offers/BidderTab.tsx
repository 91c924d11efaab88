import { Button, Group, NumberInput, PasswordInput, Select, Skeleton, Stack, Switch, Text, TextInput } from "@mantine/core";
import { IconGavel } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, type Shapes } from "../../api/client";
import { useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Pairs, Part } from "../../ui/Part";
import classes from "../../ui/record/Record.module.css";
import type { Edit } from "../../ui/record/useEdit";
import { useToast } from "../../ui/toasts";
import { Money, Nothing, Status, When } from "../../ui/Values";

type Bidder = NonNullable<Shapes["OfferBody"]["bidder"]>;

const FORMATS = [
  { value: "native", label: "CallMatrix" },
  { value: "ringba", label: "Ringba RTB" },
  { value: "retreaver", label: "Retreaver RTB" },
  { value: "trackdrive", label: "TrackDrive" },
];
const AUTH = [
  { value: "none", label: "Nothing" },
  { value: "bearer", label: "Bearer token" },
  { value: "header", label: "A header with a token" },
  { value: "hmac", label: "A signature" },
];
const FRESH: Bidder = {
  format: { kind: "native" },
  ping_url: "https://",
  post_url: null,
  method: "POST",
  authentication: { kind: "bearer" },
  timeout_ms: 1_500,
  adjustment: { share_bps: 10_000, amount: "0" },
  ruled: [],
  destination: "either",
  post_timing: "bridge",
  mode: "simulate",
  share_number: false,
  share_floor: false,
};

function freshFormat(kind: string): Bidder["format"] {
  if (kind === "ringba") return { kind, encoding: "json", expose_caller_id: true, sip_ok: false };
  if (kind === "retreaver") return { kind, publisher_id: "" };
  if (kind === "trackdrive") return { kind, traffic_source_id: "" };
  return { kind: "native" };
}

function freshAuth(kind: string): Bidder["authentication"] {
  if (kind === "bearer") return { kind };
  if (kind === "header") return { kind, name: "X-Api-Key" };
  if (kind === "hmac") return { kind, name: "X-Signature" };
  return { kind: "none" };
}

/** How the buyer is asked for a bid, a test bench, and how they fare. */
export function BidderTab({ edit, id }: { edit: Edit<"offers">; id: string }) {
  const disabled = !useMay("change");
  const { bidder } = edit.draft;
  if (bidder === null)
    return (
      <Empty
        icon={<IconGavel size={22} />}
        title="This buyer is not asked for bids"
        action={
          !disabled && (
            <Button onClick={() => edit.set({ bidder: FRESH })}>
              Ask for bids
            </Button>
          )
        }
      >
        With ping and post, the buyer’s system is asked on each call what it pays for it, without being told who calls. It begins
        simulated: bids are recorded and win nothing until you let them.
      </Empty>
    );
  const set = (change: Partial<Bidder>) => edit.set({ bidder: { ...bidder, ...change } });
  const { format, authentication } = bidder;
  const formats = FORMATS.some((one) => one.value === format.kind) ? FORMATS : [...FORMATS, { value: format.kind, label: "Template" }];
  const auths = AUTH.some((one) => one.value === authentication.kind) ? AUTH : [...AUTH, { value: authentication.kind, label: authentication.kind }];
  return (
    <Stack>
      <div className={classes.columns}>
        <Part title="How it is asked">
          <Stack gap="sm">
            <Group grow align="flex-start">
              <Select label="Mode" allowDeselect={false} disabled={disabled} data={["live", "simulate", "paused"]} value={bidder.mode} onChange={(mode) => mode !== null && set({ mode: mode as Bidder["mode"] })} />
              <Select label="Format" allowDeselect={false} disabled={disabled} data={formats} value={format.kind} onChange={(kind) => kind !== null && kind !== format.kind && set({ format: freshFormat(kind) })} />
            </Group>
            <TextInput label="Pings go to" disabled={disabled} value={bidder.ping_url} onChange={(event) => set({ ping_url: event.currentTarget.value.trim() })} error={fieldError(edit.error, "bidder.ping_url")} />
            <TextInput
              label="Posts go to"
              placeholder="Nowhere"
              disabled={disabled}
              value={bidder.post_url ?? ""}
              onChange={(event) => set({ post_url: event.currentTarget.value.trim() === "" ? null : event.currentTarget.value.trim() })}
              error={fieldError(edit.error, "bidder.post_url")}
            />
            <Group grow align="flex-start">
              <Select label="Opened by" allowDeselect={false} disabled={disabled} data={auths} value={authentication.kind} onChange={(kind) => kind !== null && kind !== authentication.kind && set({ authentication: freshAuth(kind) })} />
              <NumberInput label="Waits for" suffix=" ms" min={50} max={30_000} disabled={disabled} value={bidder.timeout_ms} onChange={(value) => set({ timeout_ms: Number(value) })} error={fieldError(edit.error, "bidder.timeout_ms")} />
            </Group>
            <Switch label="May be told the caller’s number (the campaign must allow it too)" disabled={disabled} checked={bidder.share_number} onChange={(event) => set({ share_number: event.currentTarget.checked })} />
            {!disabled && (
              <Button variant="default" size="xs" w="fit-content" onClick={() => edit.set({ bidder: null })}>
                Ask no more
              </Button>
            )}
          </Stack>
        </Part>
        <Stack>
          <Health id={id} />
          <Secrets id={id} />
        </Stack>
      </div>
      <Bench id={id} />
    </Stack>
  );
}

function Health({ id }: { id: string }) {
  const { data, error } = useQuery({ ...question("/api/offers/{id}/health", { params: { path: { id } } }), refetchInterval: 10_000, retry: false });
  const share = (bps: number | null) => (bps === null ? <Nothing /> : `${(bps / 100).toFixed(1)}%`);
  const ms = (us: number | null) => (us === null ? "–" : `${count(Math.round(us / 1000))} ms`);
  return (
    <Part title="How it fares" note="the last day">
      {error && <Text size="sm">Save the bidder first; then its health is told here.</Text>}
      {data === undefined && !error && <Skeleton height={100} />}
      {data !== undefined && (
        <Pairs
          pairs={[
            ["Pings sent", `${count(data.sent)} of ${count(data.pings)}`],
            ["Bids, of sent", share(data.bid_rate_bps)],
            ["Won, of bids", share(data.win_rate_bps)],
            ["Timeouts, of sent", share(data.timeout_rate_bps)],
            ["Median, p95, p99", `${ms(data.p50_us)}, ${ms(data.p95_us)}, ${ms(data.p99_us)}`],
            ["Skipped now, for failing", `${Math.round(data.throttle.skip_share * 100)}%`],
            ["Last asked", <When key="last" at={data.last_at} />],
          ]}
        />
      )}
    </Part>
  );
}

function Secrets({ id }: { id: string }) {
  const isAdmin = useMay("admin");
  const [secret, setSecret] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const { data } = useQuery({ ...question("/api/offers/{id}/secrets", { params: { path: { id } } }), retry: false });
  const name = data?.missing[0] ?? data?.items[0]?.name;
  const keep = useMutation({
    mutationFn: () =>
      act("put", "/api/offers/{id}/secrets", { params: { path: { id } }, body: { secrets: { [name ?? ""]: secret } } as never }),
    onSuccess: async () => {
      setSecret("");
      toast({ text: "The secret is sealed; it is not shown again." });
      await cache.invalidateQueries({ queryKey: ["/api/offers/{id}/secrets"] });
    },
  });
  if (data === undefined || name === undefined) return null;
  return (
    <Part title="Secret" note={data.missing.length > 0 ? <Status tone="bad">{`${name} is missing`}</Status> : <When at={data.items[0]?.changed_at} />}>
      {isAdmin ? (
        <Group align="flex-end" wrap="nowrap">
          <PasswordInput flex={1} label={`New ${name}`} value={secret} onChange={(event) => setSecret(event.currentTarget.value)} error={fieldError(keep.error, "secrets")} />
          <Button variant="default" disabled={secret === ""} loading={keep.isPending} onClick={() => keep.mutate()}>
            Keep it
          </Button>
        </Group>
      ) : (
        <Text size="sm">An admin keeps it.</Text>
      )}
      <ErrorNote error={keep.error} shown={["secrets"]} />
    </Part>
  );
}

function Bench({ id }: { id: string }) {
  const mayChange = useMay("change");
  const [campaign, setCampaign] = useState<string>();
  const [zip, setZip] = useState("94105");
  const ping = useMutation({
    mutationFn: () =>
      act("post", "/api/offers/{id}/test-ping", { params: { path: { id } }, body: { campaign_id: campaign ?? null, zip: zip === "" ? null : zip } }),
  });
  const tried = ping.data;
  if (!mayChange) return null;
  return (
    <Part title="Test bench" note="one real ping of a test lead, as the saved settings say">
      <Stack>
        <Group align="flex-end">
          <NamePicker kind="campaign" label="Campaign" placeholder="Of any campaign" value={campaign} onChange={setCampaign} />
          <TextInput label="ZIP" w={110} value={zip} onChange={(event) => setZip(event.currentTarget.value)} error={fieldError(ping.error, "zip")} />
          <Button loading={ping.isPending} onClick={() => ping.mutate()}>
            Ping it
          </Button>
        </Group>
        <ErrorNote error={ping.error} shown={["zip"]} />
        {tried !== undefined && (
          <div className={classes.columns}>
            <div>
              <b>Request</b>
              <Wire text={tried.request === null ? "Nothing was sent" : `${tried.request.method} ${tried.request.url}\n${headers(tried.request.headers)}\n\n${tried.request.body}`} label="Request" />
            </div>
            <div>
              <b>Reply</b>
              <Wire text={tried.reply === null ? "There was none" : `${tried.reply.status} after ${Math.round(tried.reply.total_us / 1000)} ms\n\n${tried.reply.body}`} label="Reply" />
            </div>
            <div>
              <b>How it was read</b>
              <Pairs
                pairs={[
                  ["Outcome", <Status key="out" tone={tried.bid === null ? "bad" : "good"}>{tried.bid === null ? tried.code : "A bid"}</Status>],
                  ["Amount", <Money key="amount" amount={tried.said?.amount} />],
                  ["Ranks by", <Money key="ranks" amount={tried.ranks_by} />],
                  ["In words", tried.detail === "" ? <Nothing key="none" /> : tried.detail],
                ]}
              />
              {tried.complaints.length > 0 && (
                <ul>
                  {tried.complaints.map((one) => (
                    <li key={one}>{one}</li>
                  ))}
                </ul>
              )}
            </div>
          </div>
        )}
      </Stack>
    </Part>
  );
}

function headers(told: Record<string, string>): string {
  return Object.entries(told)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

function Wire({ text, label }: { text: string; label: string }) {
  return (
    <pre tabIndex={0} aria-label={label} className="cm-mono" style={{ margin: "6px 0 0", padding: 10, maxHeight: 260, overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere", background: "var(--cm-hover)", borderRadius: 6 }}>
      {text}
    </pre>
  );
}
