import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { create, readAgain } from "../../api/records";
import { useAccount } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { MoneyInput } from "../../ui/record/MoneyInput";
import { ZoneSelect } from "../../ui/record/ZoneSelect";

/** A new buyer, and on to their page. */
export function NewBuyer({ onDone }: { onDone: () => void }) {
  const { timeZone } = useAccount();
  const [name, setName] = useState("");
  const [billing, setBilling] = useState<string | null>("postpaid");
  const [credit, setCredit] = useState("1000.00");
  const [zone, setZone] = useState(timeZone);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: () => create("buyers", { name, billing, credit_limit: billing === "prepaid" ? "0" : credit, time_zone: zone }),
    onSuccess: async (made) => {
      await readAgain(cache, "buyers");
      onDone();
      await navigate({ to: "/buyers/$id", params: { id: made.id } });
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
        <Select
          label="Pays"
          allowDeselect={false}
          data={[
            { value: "postpaid", label: "Afterwards, up to a credit limit" },
            { value: "prepaid", label: "Ahead" },
          ]}
          value={billing}
          onChange={setBilling}
        />
        {billing === "postpaid" && <MoneyInput label="Credit limit" value={credit} onChange={setCredit} error={fieldError(make.error, "credit_limit")} />}
        <ZoneSelect value={zone} onChange={setZone} error={fieldError(make.error, "time_zone")} />
        <ErrorNote error={make.error} shown={["name", "credit_limit", "time_zone"]} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending}>
            Make the buyer
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
