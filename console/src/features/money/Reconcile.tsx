import { Button, FileButton, Group, Stack, Text, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { count, phone, words } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import classes from "../../ui/record/Record.module.css";
import { Money, Nothing, Status, When } from "../../ui/Values";
import { APART_MS, type OurCall, type Pair, paired, theirCalls, total } from "./reconciling";

const PAGE = 200;
const MOST_PAGES = 50;
const TONES = { same: "good", amount: "warn", only_theirs: "bad", only_ours: "bad" } as const;
const NAMES = { same: "The same", amount: "Another amount", only_theirs: "Only in their list", only_ours: "Only in ours" } as const;

/** A buyer's CSV against our connected calls: the same caller within a minute. */
export function Reconcile() {
  const [buyer, setBuyer] = useState<string>();
  const [text, setText] = useState("");
  const { calls, wrong } = theirCalls(text);
  const compare = useMutation({
    mutationFn: async () => {
      const times = calls.map((one) => Date.parse(one.at));
      const [since, until] = [Math.min(...times) - APART_MS, Math.max(...times) + APART_MS];
      return paired(calls, await ourCalls(buyer ?? "", new Date(since).toISOString(), new Date(until).toISOString()));
    },
  });
  return (
    <Stack>
      <Part title="A buyer’s list against ours">
        <Stack gap="sm">
          <Group>
            <NamePicker kind="buyer" label="Buyer" value={buyer} onChange={setBuyer} />
            <FileButton accept=".csv,.txt,text/csv,text/plain" onChange={(file) => void file?.text().then(setText)}>
              {(props) => (
                <Button variant="default" {...props}>
                  From a file
                </Button>
              )}
            </FileButton>
          </Group>
          <Textarea
            label="Their list"
            description="CSV: caller, time with its zone (2026-03-01T12:00:00-05:00), amount; a header line tells another order."
            autosize
            minRows={4}
            maxRows={10}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          {wrong.length > 0 && <Text size="sm" c="var(--cm-bad)">{`These lines could not be read: ${wrong.slice(0, 20).join(", ")}`}</Text>}
          <ErrorNote error={compare.error} />
          <Button w="fit-content" disabled={buyer === undefined || calls.length === 0} loading={compare.isPending} onClick={() => compare.mutate()}>
            {`Compare ${count(calls.length)} calls`}
          </Button>
        </Stack>
      </Part>
      {compare.data !== undefined && <Pairs pairs={compare.data} />}
    </Stack>
  );
}

async function ourCalls(buyer_id: string, since: string, until: string): Promise<OurCall[]> {
  const found: OurCall[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await read("/api/calls", { params: { query: { buyer_id, since, until, status: "connected", limit: PAGE, ...(cursor === undefined ? {} : { cursor }) } } });
    found.push(...answer.items.map((one) => ({ id: one.id, caller: one.caller, at: one.arrived_at, amount: one.revenue ?? "0" })));
    if (answer.next_cursor === null) return found;
    cursor = answer.next_cursor;
  }
  throw new Error(`There are more than ${count(PAGE * MOST_PAGES)} calls in this time; compare a shorter list`);
}

function Pairs({ pairs }: { pairs: readonly Pair[] }) {
  const theirs = total(pairs.flatMap((one) => one.theirs?.amount ?? []));
  const ours = total(pairs.flatMap((one) => one.ours?.amount ?? []));
  const differing = pairs.filter((one) => one.verdict !== "same");
  return (
    <Part
      title={`${count(differing.length)} of ${count(pairs.length)} differ`}
      note={
        <>
          theirs <Money amount={theirs} />, ours <Money amount={ours} />
        </>
      }
      flush
    >
      <div className={classes.scroll} tabIndex={0} role="region" aria-label="Calls compared">
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Verdict</th>
              <th scope="col">Caller</th>
              <th scope="col">When</th>
              <th scope="col" data-right>
                Theirs
              </th>
              <th scope="col" data-right>
                Ours
              </th>
              <th scope="col">Call</th>
            </tr>
          </thead>
          <tbody>
            {[...differing, ...pairs.filter((one) => one.verdict === "same")].map((one) => (
              <tr key={`${one.theirs?.line ?? ""} ${one.ours?.id ?? ""}`}>
                <td>
                  <Status tone={TONES[one.verdict]}>{words(NAMES[one.verdict])}</Status>
                </td>
                <td>{one.ours?.caller ? phone(one.ours.caller) : one.theirs === undefined ? <Nothing /> : phone(`+${one.theirs.caller}`)}</td>
                <td>
                  <When at={one.ours?.at ?? one.theirs?.at} />
                </td>
                <td data-right>
                  <Money amount={one.theirs?.amount} />
                </td>
                <td data-right>
                  <Money amount={one.ours?.amount} />
                </td>
                <td>
                  {one.ours === undefined ? (
                    <Nothing />
                  ) : (
                    <Link to="/calls/$id" params={{ id: one.ours.id }}>
                      open
                    </Link>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}
