import { ActionIcon, Button, Group, NumberInput, Skeleton, Slider, Stack, Text } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { put, readAgain, recordOf, type RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { ErrorNote } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { Page } from "../../ui/Page";
import { Pairs, Part } from "../../ui/Part";
import { assigned, before, inForce, reshared, type Share } from "../../ui/record/assignments";
import { same } from "../../ui/record/changes";
import { History, Scheduled } from "../../ui/record/History";
import { RecordActs } from "../../ui/record/RecordActs";
import classes from "../../ui/record/Record.module.css";
import { useToast } from "../../ui/toasts";
import { Nothing, RecordStatus, When } from "../../ui/Values";
import own from "./Numbers.module.css";

const STEPS = [10, 25, 50, 100];

/** One number. */
export function NumberPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("numbers", id));
  if (data === undefined)
    return (
      <Page title="Number" above={{ to: "/numbers", label: "Numbers" }}>
        {error ? <ErrorNote error={error} retry={() => void refetch()} /> : <Skeleton height={240} />}
      </Page>
    );
  const { document } = data;
  const name = phone(document.number);
  return (
    <Page
      title={name}
      above={{ to: "/numbers", label: "Numbers" }}
      note={<RecordStatus status={document.status} />}
      actions={<RecordActs noun="numbers" record={data} name={name} status={document.status === "disabled" ? "paused" : "active"} />}
    >
      <Stack>
        <Split key={data.revision} record={data} />
        <div className={classes.columns}>
          <Part title="What it is">
            <Pairs
              pairs={[
                [
                  "Connection",
                  <Link key="connection" to="/connections/$id" params={{ id: document.connection_id }}>
                    <Name id={document.connection_id} />
                  </Link>,
                ],
                ["At the carrier", document.provisioning.replace("_", " ")],
                ["Publisher", <Name key="publisher" id={inForce(document, new Date())?.publisher_id} />],
                ["Late calls are paid for", `${document.late_payout_days} days`],
                ["Tags", Object.entries(document.tags).map(([tag, value]) => `${tag}=${value}`).join(", ") || <Nothing key="none" />],
              ]}
            />
          </Part>
          <Assignments record={data} />
          <History noun="numbers" id={id} />
          <Scheduled noun="numbers" id={id} />
        </div>
      </Stack>
    </Page>
  );
}

function Split({ record }: { record: RecordOf<"numbers"> }) {
  const mayChange = useMay("change");
  const now = new Date();
  const current = inForce(record.document, now);
  const earlier = before(record.document, now);
  const [split, setSplit] = useState<readonly Share[]>(current?.split ?? []);
  const [publisher, setPublisher] = useState<string | undefined>(current?.publisher_id ?? undefined);
  const [chosen, setChosen] = useState<string>();
  const cache = useQueryClient();
  const toast = useToast();
  const save = useMutation({
    mutationFn: (next: { split: readonly Share[]; publisher: string | null }) =>
      put("numbers", record.id, record.revision, assigned(record.document, next.split, next.publisher, new Date())),
    onSuccess: async (saved) => {
      toast({
        text: "New callers follow it from now on.",
        undo: async () => {
          await put("numbers", record.id, saved.revision, record.document);
          await readAgain(cache, "numbers");
        },
      });
      await readAgain(cache, "numbers");
    },
  });
  const changed = !same(split, current?.split ?? []) || (publisher ?? null) !== (current?.publisher_id ?? null);
  const last = split.at(-1);
  return (
    <Part title="Where its callers go" note="by per cent; a caller who comes again goes the same way">
      <Stack gap="sm">
        {split.length === 0 && <Text size="sm">It leads nowhere. Add a campaign to assign it.</Text>}
        {split.map((share, place) => (
          <div key={share.campaign_id} className={own.share}>
            <Link to="/campaigns/$id" params={{ id: share.campaign_id }}>
              <Name id={share.campaign_id} />
            </Link>
            <Slider
              thumbLabel={`Share of campaign ${place + 1}`}
              min={1}
              max={100}
              label={null}
              disabled={!mayChange || split.length === 1}
              value={share.percent}
              onChange={(value) => setSplit(reshared(split, place, value))}
            />
            <NumberInput
              aria-label={`Per cent of campaign ${place + 1}`}
              suffix=" %"
              min={1}
              max={100}
              disabled={!mayChange || split.length === 1}
              value={share.percent}
              onChange={(value) => setSplit(reshared(split, place, Number(value) || 1))}
            />
            {mayChange && (
              <ActionIcon
                variant="subtle"
                color="gray"
                size={34}
                aria-label={`Take campaign ${place + 1} out`}
                onClick={() => setSplit(split.length === 1 ? [] : reshared(split.toSpliced(place, 1), 0, split.toSpliced(place, 1)[0]?.percent ?? 100))}
              >
                <IconTrash size={16} />
              </ActionIcon>
            )}
          </div>
        ))}
        {mayChange && (
          <>
            {split.length === 2 && last !== undefined && (
              <Group gap="xs">
                <Text size="sm">
                  Step by step to <Name id={last.campaign_id} />:
                </Text>
                {STEPS.map((percent) => (
                  <Button
                    key={percent}
                    size="compact-xs"
                    variant="default"
                    onClick={() => setSplit(percent === 100 ? [{ ...last, percent: 100 }] : reshared(split, 1, percent))}
                  >{`${percent}%`}</Button>
                ))}
              </Group>
            )}
            <Group align="flex-end">
              <NamePicker kind="campaign" label="Campaign" placeholder="Campaign to add" value={chosen} onChange={setChosen} />
              <Button
                variant="default"
                disabled={chosen === undefined || split.some((one) => one.campaign_id === chosen)}
                onClick={() => {
                  if (chosen === undefined) return;
                  const more = [...split, { campaign_id: chosen, percent: 10 }];
                  setSplit(split.length === 0 ? [{ campaign_id: chosen, percent: 100 }] : reshared(more, more.length - 1, 10));
                  setChosen(undefined);
                }}
              >
                Add
              </Button>
              <NamePicker kind="publisher" label="Publisher" placeholder="No publisher" value={publisher} onChange={setPublisher} />
            </Group>
            <ErrorNote error={save.error} />
            <Group>
              <Button disabled={!changed} loading={save.isPending} onClick={() => save.mutate({ split, publisher: publisher ?? null })}>
                {split.length === 0 ? "Take it away" : "Apply from now on"}
              </Button>
              {earlier !== undefined && !changed && (
                <Button variant="default" loading={save.isPending} onClick={() => save.mutate({ split: earlier.split, publisher: earlier.publisher_id })}>
                  Back to what it was before
                </Button>
              )}
            </Group>
          </>
        )}
      </Stack>
    </Part>
  );
}

function Assignments({ record }: { record: RecordOf<"numbers"> }) {
  return (
    <Part title="What it was for" flush>
      {record.document.assignments.length === 0 && (
        <Text size="sm" p={16}>
          Nothing yet.
        </Text>
      )}
      <ol className={classes.list}>
        {record.document.assignments.toReversed().map((one) => (
          <li key={one.starts_at}>
            <div className={classes.line}>
              <span>
                {one.split.map((share, place) => (
                  <span key={share.campaign_id}>
                    {place > 0 && ", "}
                    <Name id={share.campaign_id} /> {shareText(share)}
                  </span>
                ))}
              </span>
              <span>
                <When at={one.starts_at} />
                {" – "}
                {one.ends_at === null ? "now" : <When at={one.ends_at} />}
              </span>
            </div>
          </li>
        ))}
      </ol>
    </Part>
  );
}

function shareText(share: Share): string {
  return share.percent === 100 ? "" : `${share.percent}%`;
}
