import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { IconPlus, IconSearch, IconTag } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { question, type Shapes } from "../../api/client";
import { create, readAgain, type RecordOf, recordsOf } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { text, useFilters } from "../../ui/filters";
import { count, percent } from "../../ui/format";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { Page } from "../../ui/Page";
import { type Price, PriceFields, priceText } from "../../ui/record/PriceFields";
import { useRows } from "../../ui/rows";
import { Money, Nothing, RecordStatus, Zone } from "../../ui/Values";

type Offer = RecordOf<"offers">;

const FILTERS = { buyer_id: text, new_for: text };

function columns(today: ReadonlyMap<string | null | undefined, Shapes["Figures"]>, currency: string): readonly Column<Offer>[] {
  const of = (one: Offer) => today.get(one.id);
  return [
    {
      id: "name",
      label: "Name",
      width: 190,
      grow: true,
      cell: (one) => (
        <Link to="/offers/$id" params={{ id: one.id }} data-row>
          {one.document.name}
        </Link>
      ),
    },
    { id: "buyer", label: "Buyer", width: 160, grow: true, cell: (one) => <Name id={one.document.buyer_id} /> },
    { id: "status", label: "State", width: 110, cell: (one) => <RecordStatus status={one.document.status} /> },
    { id: "price", label: "Price", width: 220, grow: true, cell: (one) => <span className="cm-clip">{priceText(one.document.price, currency)}</span> },
    { id: "bids", label: "Bids", width: 90, cell: (one) => one.document.bidder?.mode ?? <Nothing /> },
    { id: "connected", label: "Connected today", width: 140, align: "right", cell: (one) => count(of(one)?.connected ?? 0) },
    {
      id: "converted",
      label: "Converted",
      width: 120,
      align: "right",
      cell: (one) => (
        <span title={`of ${count(of(one)?.connected ?? 0)} connected`}>
          {count(of(one)?.converted ?? 0)} <small>{percent(of(one)?.converted ?? 0, of(one)?.connected ?? 0)}</small>
        </span>
      ),
    },
    { id: "revenue", label: "Revenue today", width: 130, align: "right", cell: (one) => <Money amount={of(one)?.revenue ?? "0"} round="cents" /> },
  ];
}

/** All offers: what gets routed to. */
export function OffersPage() {
  const { currency } = useAccount();
  const [filters, change] = useFilters(FILTERS);
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const [opened, acts] = useDisclosure(filters.new_for !== undefined);
  const rows = useRows(
    recordsOf("offers", {
      ...(wanted === "" ? {} : { search: wanted }),
      ...(filters.buyer_id === undefined ? {} : { buyer_id: filters.buyer_id }),
    }),
  );
  const { data } = useQuery({
    ...question("/api/facts", { params: { query: { metrics: "connected,converted,revenue", by: "offer_id", range: "today", limit: 1000 } } }),
    refetchInterval: 10_000,
  });
  const shown = useMemo(() => columns(new Map(data?.groups.map((one) => [one.by.offer_id, one.figures])), currency), [data, currency]);
  const fresh = useMay("change") && (
    <Button leftSection={<IconPlus size={16} />} onClick={acts.open}>
      New offer
    </Button>
  );
  const close = () => {
    acts.close();
    change({ new_for: undefined } as never);
  };
  return (
    <Page
      title="Offers"
      fill
      note={<Zone />}
      actions={fresh}
      bar={
        <>
          <TextInput aria-label="Search offers" placeholder="Search" leftSection={<IconSearch size={15} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} />
          <NamePicker kind="buyer" label="Buyer" value={filters.buyer_id} onChange={(buyer_id) => change({ buyer_id } as never)} />
        </>
      }
    >
      <DataTable
        label="Offers"
        rows={rows}
        columns={shown}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "offer" : "offers"}
        compact={(one) => (
          <Link to="/offers/$id" params={{ id: one.id }} data-row>
            <b>{one.document.name}</b> <RecordStatus status={one.document.status} />
          </Link>
        )}
        empty={
          <Empty icon={<IconTag size={22} />} title={wanted === "" ? "No offers yet" : "No offer is called that"} action={fresh}>
            An offer is one buyer’s standing terms for a kind of call: where it goes, what is paid, caps, hours and rules.
          </Empty>
        }
      />
      <Modal opened={opened} onClose={close} title="New offer" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        <NewOffer buyerId={filters.new_for ?? filters.buyer_id} onDone={close} />
      </Modal>
    </Page>
  );
}

function NewOffer({ buyerId, onDone }: { buyerId: string | undefined; onDone: () => void }) {
  const { timeZone } = useAccount();
  const [name, setName] = useState("");
  const [buyer, setBuyer] = useState(buyerId);
  const [number, setNumber] = useState("");
  const [price, setPrice] = useState<Price>({ kind: "fixed", amount: "20.00", after_s: 60 });
  const cache = useQueryClient();
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: () => create("offers", { name, buyer_id: buyer ?? "", time_zone: timeZone, price, destination: destinationOf(number) }),
    onSuccess: async (made) => {
      await readAgain(cache, "offers");
      await navigate({ to: "/offers/$id", params: { id: made.id } });
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
        <NamePicker kind="buyer" label="Buyer" placeholder="Whose offer it is" value={buyer} onChange={setBuyer} />
        <TextInput
          label="Calls go to"
          placeholder="+14155550110 or sip:sales@example.com"
          required
          withAsterisk={false}
          value={number}
          onChange={(event) => setNumber(event.currentTarget.value)}
          error={fieldError(make.error, "destination")}
        />
        <PriceFields value={price} onChange={setPrice} error={fieldError(make.error, "price")} />
        <ErrorNote error={make.error} shown={["name", "destination", "price"]} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending} disabled={buyer === undefined}>
            Make the offer
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function destinationOf(text: string) {
  const to = text.trim();
  return /^sips?:/.test(to) ? { kind: "sip", uri: to } : { kind: "phone", number: to.replace(/[^+\d]/g, "") };
}
