import { Button, FileButton, Group, Progress, Select, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { question } from "../../api/client";
import { refusalOf } from "../../api/problem";
import { create, readAgain } from "../../api/records";
import { ErrorNote } from "../../ui/ErrorNote";
import { count, phone } from "../../ui/format";
import { useToast } from "../../ui/toasts";
import { pastedLines } from "./lines";
import classes from "./Numbers.module.css";

/** Adds many numbers by paste or CSV; each line that fails says why, the others are added. */
export function AddNumbers({ onDone }: { onDone: () => void }) {
  const [text, setText] = useState("");
  const [connection, setConnection] = useState<string | null>(null);
  const [failed, setFailed] = useState<ReadonlyMap<number, string>>(new Map());
  const [done, setDone] = useState(0);
  const { data } = useQuery(question("/api/connections", { params: { query: { limit: 200 } } }));
  const chosen = connection ?? (data?.items.length === 1 ? (data.items[0]?.id ?? null) : null);
  const cache = useQueryClient();
  const toast = useToast();
  const lines = pastedLines(text);
  const good = lines.filter((one) => one.problem === undefined);
  const add = useMutation({
    mutationFn: async () => {
      const wrong = new Map<number, string>();
      let added = 0;
      for (const [place, one] of good.entries()) {
        try {
          await create("numbers", { number: one.number, connection_id: chosen, tags: one.tags });
          added++;
        } catch (error) {
          const refused = refusalOf(error);
          const problem = refused.problems[0];
          wrong.set(one.line, problem === undefined ? refused.message : `${problem.problem}. ${problem.remedy}.`);
        }
        setDone(place + 1);
      }
      return { added, wrong };
    },
    onSuccess: async ({ added, wrong }) => {
      await readAgain(cache, "numbers");
      setFailed(wrong);
      toast({ text: `${count(added)} of ${count(good.length)} numbers are added.`, tone: wrong.size === 0 ? "good" : "bad" });
      if (wrong.size === 0) onDone();
      else setText((before) => before.split(/\r?\n/).map((row, place) => (wrong.has(place + 1) ? row : "")).join("\n"));
    },
  });
  return (
    <Stack>
      <Select
        label="Connection"
        placeholder="The carrier account that they are of"
        data={(data?.items ?? []).map((one) => ({ value: one.id, label: one.document.name }))}
        value={chosen}
        onChange={setConnection}
      />
      <Textarea
        label="Numbers"
        description="One a line, or CSV with a header such as number,source; further columns are tags."
        autosize
        minRows={6}
        maxRows={14}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setFailed(new Map());
        }}
      />
      <ul className={classes.lines} aria-label="Lines to mend">
        {lines
          .filter((one) => one.problem !== undefined || failed.has(one.line))
          .map((one) => (
            <li key={one.line}>
              <span>{`Line ${one.line}: ${one.number === undefined ? one.text : phone(one.number)}`}</span>
              <span className={classes.bad}>{one.problem ?? failed.get(one.line)}</span>
            </li>
          ))}
      </ul>
      {add.isPending && <Progress value={(100 * done) / Math.max(1, good.length)} aria-label="Numbers added" />}
      <ErrorNote error={add.error} />
      <Group justify="space-between">
        <FileButton accept=".csv,.txt,text/csv,text/plain" onChange={(file) => void file?.text().then(setText)}>
          {(props) => (
            <Button variant="default" {...props}>
              From a file
            </Button>
          )}
        </FileButton>
        <Group>
          <Text size="sm">{`${count(good.length)} of ${count(lines.length)} lines are numbers`}</Text>
          <Button disabled={good.length === 0 || chosen === null} loading={add.isPending} onClick={() => add.mutate()}>
            {`Add ${count(good.length)}`}
          </Button>
        </Group>
      </Group>
    </Stack>
  );
}
