import { Button, CopyButton, Group, PasswordInput, Skeleton, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { act, question, read } from "../../api/client";
import { recordOf, type RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count } from "../../ui/format";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { History } from "../../ui/record/History";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { useToast } from "../../ui/toasts";
import { Money, RecordStatus, Status, When } from "../../ui/Values";
import { CARRIERS } from "./carriers";
import own from "./Numbers.module.css";

/** One connection to a carrier: the steps of its set-up, and whether calls arrive by it. */
export function ConnectionPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("connections", id));
  if (data === undefined)
    return (
      <Page title="Connection" above={{ to: "/numbers", label: "Numbers" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  const { name, status, carrier, public_base_url, account_sid, tariff } = data.document;
  return (
    <Page
      title={name}
      above={{ to: "/numbers", label: "Numbers" }}
      note={<RecordStatus status={status} />}
      actions={<RecordActs noun="connections" record={data} name={name} status={status} />}
    >
      <div className={classes.columns}>
        <SetUp record={data} />
        <Stack>
          <Part title="What it is">
            <Pairs
              pairs={[
                ["Carrier", CARRIERS.find((one) => one.value === carrier)?.label],
                ["Reached at", public_base_url],
                ["Account", account_sid],
                ["Inbound, a minute", <Money key="in" amount={tariff.inbound_per_minute} />],
                ["Outbound, a minute", <Money key="out" amount={tariff.outbound_per_minute} />],
              ]}
            />
          </Part>
          <History noun="connections" id={id} />
        </Stack>
      </div>
    </Page>
  );
}

function SetUp({ record }: { record: RecordOf<"connections"> }) {
  const { id, document } = record;
  const about = CARRIERS.find((one) => one.value === document.carrier) ?? CARRIERS[0];
  const { data: secrets } = useQuery(question("/api/connections/{id}/secrets", { params: { path: { id } } }));
  const { data: numbers } = useQuery(question("/api/numbers", { params: { query: { connection_id: id, limit: 1 } } }));
  const base = `${document.public_base_url.replace(/\/$/, "")}/voice/${id}`;
  const signing = secrets?.items.find((one) => one.name === "signing");
  return (
    <Part title="Set-up, step by step">
      <ol className={own.steps}>
        <li>
          <Step done={signing !== undefined}>{`Keep the secret: ${about.secret}`}</Step>
          <Secret id={id} since={signing?.changed_at} />
        </li>
        <li>
          <b>{`Point the number at us, in ${about.at}, by HTTP POST`}</b>
          <Address label="A call comes in" url={base} />
          <Address label="Primary handler fails" url={`${base}/fallback`} />
          <Address label="Call status changes" url={`${base}/status`} />
        </li>
        <li>
          <Step done={(numbers?.items.length ?? 0) > 0}>Add the number here</Step>
          <Link to="/numbers">Numbers</Link>
        </li>
        <li>
          <Arrivals id={id} base={base} />
        </li>
      </ol>
    </Part>
  );
}

function Step({ done, children }: { done: boolean; children: string }) {
  return (
    <Group gap="xs">
      <b>{children}</b>
      <Status tone={done ? "good" : "warn"}>{done ? "Done" : "To do"}</Status>
    </Group>
  );
}

function Address({ label, url }: { label: string; url: string }) {
  return (
    <div>
      <Group justify="space-between">
        <span className={classes.sub}>{label}</span>
        <CopyButton value={url}>
          {({ copied, copy }) => (
            <Button size="compact-xs" variant="default" aria-label={`Copy the address: ${label}`} onClick={copy}>
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
      </Group>
      <code className={own.address} tabIndex={0}>
        {url}
      </code>
    </div>
  );
}

function Secret({ id, since }: { id: string; since: string | undefined }) {
  const isAdmin = useMay("admin");
  const [secret, setSecret] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const keep = useMutation({
    mutationFn: () => act("put", "/api/connections/{id}/secrets", { params: { path: { id } }, body: { secrets: { signing: secret } } }),
    onSuccess: async () => {
      setSecret("");
      toast({ text: "The secret is sealed; it is not shown again." });
      await cache.invalidateQueries({ queryKey: ["/api/connections/{id}/secrets"] });
    },
  });
  return (
    <>
      {since !== undefined && (
        <span className={classes.sub}>
          Kept since <When at={since} />
        </span>
      )}
      {isAdmin ? (
        <Group align="flex-end" wrap="nowrap" mt={4}>
          <PasswordInput flex={1} aria-label="Secret" placeholder={since === undefined ? "Secret" : "Another secret"} value={secret} onChange={(event) => setSecret(event.currentTarget.value)} error={fieldError(keep.error, "secrets")} />
          <Button variant="default" disabled={secret === ""} loading={keep.isPending} onClick={() => keep.mutate()}>
            Keep it
          </Button>
        </Group>
      ) : (
        <Text size="sm">An admin keeps it.</Text>
      )}
      <ErrorNote error={keep.error} shown={["secrets"]} />
    </>
  );
}

/** Watches for calls by this connection's numbers, and tells how the server stands with what is sent to it. */
function Arrivals({ id, base }: { id: string; base: string }) {
  const [since, setSince] = useState<Date>();
  const { data } = useQuery({
    queryKey: ["arrivals", id, since?.toISOString()],
    queryFn: async ({ signal }) => {
      const unknown = await read("/api/unknown-calls", { params: { query: { limit: 50 } }, signal });
      const calls = await read("/api/calls", { params: { query: { limit: 50, since: since?.toISOString() ?? "" } }, signal });
      const numbers = await read("/api/numbers", { params: { query: { connection_id: id, limit: 200 } }, signal });
      const health = await read("/healthz", { signal });
      const own_ = new Set(numbers.items.map((one) => one.id));
      return {
        calls: calls.items.filter((one) => one.number_id !== null && own_.has(one.number_id)),
        unknown: unknown.items.filter((one) => one.connection_id === id && Date.parse(one.at) >= (since?.getTime() ?? 0)),
        refused: health.bad_signatures,
      };
    },
    enabled: since !== undefined,
    refetchInterval: 2_000,
  });
  const refusedBefore = useQuery({ queryKey: ["arrivals", "refused", since?.toISOString()], queryFn: async () => (await read("/healthz")).bad_signatures, enabled: since !== undefined, staleTime: Number.POSITIVE_INFINITY });
  const refused = Math.max(0, (data?.refused ?? 0) - (refusedBefore.data ?? 0));
  const came = (data?.calls.length ?? 0) + (data?.unknown.length ?? 0);
  return (
    <Stack gap={6}>
      <b>Call the number</b>
      {since === undefined ? (
        <Button w="fit-content" size="xs" variant="default" onClick={() => setSince(new Date())}>
          Check that the webhook works
        </Button>
      ) : came > 0 ? (
        <>
          <Status tone="good">The webhook works</Status>
          {data?.calls.map((one) => (
            <Link key={one.id} to="/calls/$id" params={{ id: one.id }}>
              <When at={one.arrived_at} /> the call in full
            </Link>
          ))}
          {(data?.unknown.length ?? 0) > 0 && <Text size="sm">The number that was called is not in the inventory yet, see unknown calls.</Text>}
        </>
      ) : (
        <Status tone="info" pulse>
          Waiting for a call. Call the number now
        </Status>
      )}
      {refused > 0 && (
        <Text size="sm" c="var(--cm-bad)">{`${count(refused)} webhooks were refused for their signature since: the secret, or the address ${base}, is not the one that the carrier uses.`}</Text>
      )}
    </Stack>
  );
}
