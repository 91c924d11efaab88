import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { useAccount, useMay, useMe } from "../../api/session";
import { useAsk } from "../../ui/asking";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count, instant, words } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Name } from "../../ui/Name";
import { Part } from "../../ui/Part";
import classes from "../../ui/record/Record.module.css";
import { instantIn } from "../../ui/record/zoned";
import { useRows } from "../../ui/rows";
import { useToast } from "../../ui/toasts";
import { Money, Status, When } from "../../ui/Values";

type Statement = Shapes["Statement"];
type Side = "buyer" | "publisher";

const closed = listed(["/api/statements", "rows"], (cursor, signal) => read("/api/statements", { params: { query: { cursor, limit: 100 } }, signal }));
const paidBy = (id: string) => `paid.${id}`.slice(0, 80);

/** What each owes or earned in a period: as it stands, and closed for good. */
export function Statements() {
  const staff = useMay("staff");
  const me = useMe();
  const [side, setSide] = useState<Side>(me.role === "publisher" ? "publisher" : "buyer");
  const [owner, setOwner] = useState<string>();
  const { buyer_id, publisher_id } = me as { buyer_id?: string | null; publisher_id?: string | null };
  const whose = owner ?? (staff ? undefined : ((side === "buyer" ? buyer_id : publisher_id) ?? undefined));
  const rows = useRows(closed);
  return (
    <Stack>
      {staff && (
        <Group>
          <Select
            aria-label="Of whom"
            allowDeselect={false}
            w={140}
            data={[
              { value: "buyer", label: "A buyer" },
              { value: "publisher", label: "A publisher" },
            ]}
            value={side}
            onChange={(value) => {
              setSide(value === "publisher" ? "publisher" : "buyer");
              setOwner(undefined);
            }}
          />
          <NamePicker key={side} kind={side} label="Whose statement" value={owner} onChange={setOwner} />
        </Group>
      )}
      {whose !== undefined && <Open key={whose} side={side} owner={whose} />}
      <Part title="Closed statements" flush>
        <ErrorNote error={rows.error} retry={rows.retry} />
        {!rows.waiting && rows.rows.length === 0 && (
          <Empty small icon={<IconFileText size={22} />} title="No statement is closed yet">
            Choose whose above, look at what is open, and close the period. What is closed never changes.
          </Empty>
        )}
        <ul className={classes.list}>
          {rows.rows.map((one) => (
            <li key={one.id}>
              <Closed told={one} />
            </li>
          ))}
        </ul>
        {rows.hasMore && (
          <Button variant="default" m="sm" onClick={rows.loadMore}>
            More
          </Button>
        )}
      </Part>
    </Stack>
  );
}

function Open({ side, owner }: { side: Side; owner: string }) {
  const { timeZone } = useAccount();
  const mayChange = useMay("change");
  const [wall, setWall] = useState("");
  const ask = useAsk();
  const cache = useQueryClient();
  const toast = useToast();
  const endsAt = wall === "" ? undefined : instantIn(wall, timeZone);
  const { data, error } = useQuery(
    question("/api/statements/open", { params: { query: { account: side, owner_id: owner, ...(endsAt === undefined ? {} : { ends_at: endsAt }) } } }),
  );
  return (
    <Part
      title="Open statement"
      note={
        data !== undefined && (
          <>
            <When at={data.starts_at} /> – <When at={data.ends_at} /> {timeZone.replaceAll("_", " ")}
          </>
        )
      }
    >
      <ErrorNote error={error} shown={["ends_at"]} />
      {data !== undefined && <Lines statement={data} />}
      {mayChange && (
        <Group mt="md" align="flex-end">
          <TextInput type="datetime-local" label={`Up to (${timeZone.replaceAll("_", " ")})`} value={wall} onChange={(event) => setWall(event.currentTarget.value)} error={fieldError(error, "ends_at")} />
          <Button
            disabled={endsAt === undefined}
            onClick={() =>
              ask({
                title: "Close this period?",
                body: "A closed statement never changes: later corrections are in the next one.",
                act: "Close the period",
                run: async () => {
                  await act("post", "/api/statements", { body: { account: side, owner_id: owner, ends_at: endsAt ?? "" } });
                  await cache.invalidateQueries({ predicate: ({ queryKey: [first] }) => String(first).startsWith("/api/statements") });
                  toast({ text: "The period is closed." });
                },
              })
            }
          >
            Close the period
          </Button>
        </Group>
      )}
    </Part>
  );
}

function Lines({ statement }: { statement: Statement }) {
  return (
    <table className={classes.table}>
      <tbody>
        <tr>
          <th scope="row">Before</th>
          <td />
          <td data-right>
            <Money amount={statement.opening} />
          </td>
        </tr>
        {statement.lines.map((line) => (
          <tr key={line.kind}>
            <th scope="row">{words(line.kind)}</th>
            <td data-right>{count(line.count)}</td>
            <td data-right>
              <Money amount={line.amount} />
            </td>
          </tr>
        ))}
        <tr>
          <th scope="row">
            <b>After</b>
          </th>
          <td />
          <td data-right>
            <b>
              <Money amount={statement.closing} />
            </b>
          </td>
        </tr>
      </tbody>
    </table>
  );
}

function Closed({ told }: { told: Shapes["ClosedStatement"] }) {
  const { statement } = told;
  const { timeZone } = useAccount();
  const mayChange = useMay("change");
  const [open, setOpen] = useState(false);
  const cache = useQueryClient();
  const toast = useToast();
  const payments = useQuery({
    ...question("/api/transactions", {
      params: { query: { kind: statement.account === "publisher" ? "disbursement" : "deposit", owner_id: statement.owner_id, since: statement.ends_at, limit: 200 } },
    }),
    enabled: mayChange,
  });
  const paid = payments.data?.items.some((one) => one.key.endsWith(paidBy(told.id)));
  const owed = statement.closing.replace("-", "");
  const pay = useMutation({
    mutationFn: () => {
      const body = { amount: owed, reference: paidBy(told.id), reason: `Statement ${told.id}` };
      return statement.account === "publisher"
        ? act("post", "/api/disbursements", { body: { ...body, publisher_id: statement.owner_id } })
        : act("post", "/api/deposits", { body: { ...body, buyer_id: statement.owner_id } });
    },
    onSuccess: async () => {
      toast({ text: "It is marked as paid, and the payment is booked." });
      await cache.invalidateQueries({ predicate: ({ queryKey: [first] }) => ["/api/transactions", "/api/balances"].includes(String(first)) });
    },
  });
  return (
    <>
      <div className={classes.line}>
        <span>
          <b>
            <Name id={statement.owner_id} />
          </b>
          <span className={classes.sub}>
            {` ${instant(statement.starts_at, timeZone, "day")} – ${instant(statement.ends_at, timeZone, "short")} ${timeZone.replaceAll("_", " ")}`}
          </span>
        </span>
        <Group gap="xs">
          {paid === true && <Status tone="good">Paid</Status>}
          <Money amount={statement.closing} />
          <Button size="compact-xs" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Hide" : "Lines"}
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => download(told)}>
            CSV
          </Button>
          {mayChange && paid === false && Number(owed) !== 0 && (
            <Button size="compact-xs" variant="default" loading={pay.isPending} onClick={() => pay.mutate()}>
              Mark as paid
            </Button>
          )}
        </Group>
      </div>
      <ErrorNote error={pay.error} />
      {open && <Lines statement={statement} />}
    </>
  );
}

function download({ id, statement }: Shapes["ClosedStatement"]) {
  const lines = [
    ["statement", "owner", "from", "to", "line", "count", "amount"],
    ...statement.lines.map((one) => [id, statement.owner_id, statement.starts_at, statement.ends_at, one.kind, String(one.count), one.amount]),
    [id, statement.owner_id, statement.starts_at, statement.ends_at, "closing", "", statement.closing],
  ];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.map((line) => line.join(",")).join("\r\n")}\r\n`], { type: "text/csv" }));
  link.download = `statement-${id}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}
