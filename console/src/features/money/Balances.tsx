import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconCash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, type Shapes } from "../../api/client";
import { useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { MoneyInput } from "../../ui/record/MoneyInput";
import { allRows } from "../../ui/rows";
import { useToast } from "../../ui/toasts";
import { Money } from "../../ui/Values";
import classes from "./Money.module.css";

type Balance = Shapes["Balance"];

/** A buyer's balance is what they owe us; a publisher's and a carrier's, where negative, what we owe them. */
function meaning(one: Balance): string {
  if (/^-?[0.]*$/.test(one.amount)) return "settled";
  const negative = one.amount.startsWith("-");
  if (one.account === "buyer") return negative ? "paid ahead" : "owes us";
  if (one.account === "publisher" || one.account === "carrier") return negative ? "we owe them" : "owes us";
  return "our own books";
}

const COLUMNS: readonly Column<Balance>[] = [
  { id: "owner", label: "Whose", width: 220, grow: true, cell: (one) => (one.owner_id === "" ? "The network" : <Name id={one.owner_id} />) },
  { id: "account", label: "Account", width: 160, cell: (one) => words(one.account) },
  { id: "means", label: "Means", width: 170, cell: meaning },
  { id: "amount", label: "Balance", width: 160, align: "right", cell: (one) => <Money amount={one.amount} /> },
];

/** The balance of everybody, and payments in and out. */
export function Balances() {
  const mayChange = useMay("change");
  const [side, setSide] = useState<"buyer" | "publisher">("buyer");
  const [opened, acts] = useDisclosure();
  const { data, error, refetch } = useQuery(question("/api/balances"));
  return (
    <>
      {mayChange && (
        <div className={classes.bar}>
          <Button
            variant="default"
            onClick={() => {
              setSide("buyer");
              acts.open();
            }}
          >
            A buyer paid
          </Button>
          <Button
            variant="default"
            onClick={() => {
              setSide("publisher");
              acts.open();
            }}
          >
            A publisher was paid
          </Button>
        </div>
      )}
      <DataTable
        label="Balances"
        rows={allRows(data?.items, error, () => void refetch())}
        columns={COLUMNS}
        id={(one) => `${one.account} ${one.owner_id}`}
        noun="balances"
        compact={(one) => (
          <div className={classes.compact}>
            <span>
              {one.owner_id === "" ? "The network" : <Name id={one.owner_id} />}
              <br />
              <small>{`${words(one.account)}, ${meaning(one)}`}</small>
            </span>
            <Money amount={one.amount} />
          </div>
        )}
        empty={
          <Empty icon={<IconCash size={22} />} title="Nothing is booked yet">
            Every charge, payout, cost and payment is booked twice, and what they sum to is here.
          </Empty>
        }
      />
      <Modal opened={opened} onClose={acts.close} title={side === "buyer" ? "A buyer paid" : "A publisher was paid"} closeButtonProps={{ "aria-label": "Close" }}>
        <Payment side={side} onDone={acts.close} />
      </Modal>
    </>
  );
}

function Payment({ side, onDone }: { side: "buyer" | "publisher"; onDone: () => void }) {
  const [owner, setOwner] = useState<string>();
  const [amount, setAmount] = useState("");
  const [reference, setReference] = useState("");
  const [reason, setReason] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const book = useMutation({
    mutationFn: () =>
      side === "buyer"
        ? act("post", "/api/deposits", { body: { buyer_id: owner ?? "", amount, reference, reason } })
        : act("post", "/api/disbursements", { body: { publisher_id: owner ?? "", amount, reference, reason } }),
    onSuccess: async () => {
      onDone();
      toast({ text: "It is booked." });
      await Promise.all(["/api/balances", "/api/transactions", "/api/buyers/{id}/funds"].map((path) => cache.invalidateQueries({ queryKey: [path] })));
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        book.mutate();
      }}
    >
      <Stack>
        <NamePicker kind={side} label={side === "buyer" ? "Buyer" : "Publisher"} value={owner} onChange={setOwner} />
        <MoneyInput label="Amount" value={amount} onChange={setAmount} error={fieldError(book.error, "amount")} />
        <TextInput
          label="Reference"
          description="The payment’s own; each is booked once."
          required
          withAsterisk={false}
          value={reference}
          onChange={(event) => setReference(event.currentTarget.value)}
          error={fieldError(book.error, "reference")}
        />
        <TextInput label="Reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <ErrorNote error={book.error} shown={["amount", "reference"]} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={book.isPending} disabled={owner === undefined || amount === ""}>
            Book it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
