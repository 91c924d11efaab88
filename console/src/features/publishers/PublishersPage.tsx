import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { IconPlus, IconSearch, IconUsersGroup } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { question, type Shapes } from "../../api/client";
import { create, readAgain, type RecordOf, recordsOf } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count, percent } from "../../ui/format";
import { Page } from "../../ui/Page";
import { priceText, TermsFields } from "../../ui/record/PriceFields";
import { useRows } from "../../ui/rows";
import { turned } from "../../ui/record/amounts";
import { Money, RecordStatus, Zone } from "../../ui/Values";

type Publisher = RecordOf<"publishers">;

function columns(today: ReadonlyMap<string | null | undefined, Shapes["Figures"]>, balances: ReadonlyMap<string, string>, currency: string): readonly Column<Publisher>[] {
  const of = (one: Publisher) => today.get(one.id);
  return [
    {
      id: "name",
      label: "Name",
      width: 190,
      grow: true,
      cell: (one) => (
        <Link to="/publishers/$id" params={{ id: one.id }} data-row>
          {one.document.name}
        </Link>
      ),
    },
    { id: "status", label: "State", width: 110, cell: (one) => <RecordStatus status={one.document.status} /> },
    { id: "terms", label: "Earns", width: 200, grow: true, cell: (one) => <span className="cm-clip">{priceText(one.document.terms.payout, currency)}</span> },
    { id: "balance", label: "We owe", width: 130, align: "right", cell: (one) => <Money amount={turned(balances.get(one.id) ?? "0")} /> },
    { id: "received", label: "Received today", width: 130, align: "right", cell: (one) => count(of(one)?.received ?? 0) },
    {
      id: "paid",
      label: "Paid",
      width: 120,
      align: "right",
      cell: (one) => (
        <span title={`of ${count(of(one)?.received ?? 0)} received`}>
          {count(of(one)?.paid ?? 0)} <small>{percent(of(one)?.paid ?? 0, of(one)?.received ?? 0)}</small>
        </span>
      ),
    },
    { id: "payout", label: "Payout today", width: 130, align: "right", cell: (one) => <Money amount={of(one)?.payout ?? "0"} round="cents" /> },
  ];
}

/** All publishers, what they earn and what they brought today. */
export function PublishersPage() {
  const { currency } = useAccount();
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const [opened, acts] = useDisclosure();
  const rows = useRows(recordsOf("publishers", wanted === "" ? {} : { search: wanted }));
  const { data: facts } = useQuery({
    ...question("/api/facts", { params: { query: { metrics: "received,paid,payout", by: "publisher_id", range: "today", limit: 1000 } } }),
    refetchInterval: 10_000,
  });
  const { data: balances } = useQuery(question("/api/balances", { params: { query: { account: "publisher" } } }));
  const shown = useMemo(
    () => columns(new Map(facts?.groups.map((one) => [one.by.publisher_id, one.figures])), new Map(balances?.items.map((one) => [one.owner_id, one.amount])), currency),
    [facts, balances, currency],
  );
  const fresh = useMay("change") && (
    <Button leftSection={<IconPlus size={16} />} onClick={acts.open}>
      New publisher
    </Button>
  );
  return (
    <Page
      title="Publishers"
      fill
      note={<Zone />}
      actions={fresh}
      bar={<TextInput aria-label="Search publishers" placeholder="Search" leftSection={<IconSearch size={15} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} />}
    >
      <DataTable
        label="Publishers"
        rows={rows}
        columns={shown}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "publisher" : "publishers"}
        compact={(one) => (
          <Link to="/publishers/$id" params={{ id: one.id }} data-row>
            <b>{one.document.name}</b> <RecordStatus status={one.document.status} />
          </Link>
        )}
        empty={
          <Empty icon={<IconUsersGroup size={22} />} title={wanted === "" ? "No publishers yet" : "No publisher is called that"} action={fresh}>
            A publisher brings calls to your numbers and earns payout by their terms.
          </Empty>
        }
      />
      <Modal opened={opened} onClose={acts.close} title="New publisher" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        <NewPublisher onDone={acts.close} />
      </Modal>
    </Page>
  );
}

function NewPublisher({ onDone }: { onDone: () => void }) {
  const { timeZone } = useAccount();
  const [name, setName] = useState("");
  const [terms, setTerms] = useState<Shapes["PublisherTerms"]>({ payout: { kind: "share", share_bps: 6_500 }, only_if_converted: true, duplicates: null });
  const cache = useQueryClient();
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: () => create("publishers", { name, terms, time_zone: timeZone }),
    onSuccess: async (made) => {
      await readAgain(cache, "publishers");
      await navigate({ to: "/publishers/$id", params: { id: made.id } });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Stack>
        <TextInput label="Name" required withAsterisk={false} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} error={fieldError(make.error, "name")} />
        <TermsFields value={terms} onChange={setTerms} error={fieldError(make.error, "terms")} />
        <ErrorNote error={make.error} shown={["name", "terms"]} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending}>
            Make the publisher
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
