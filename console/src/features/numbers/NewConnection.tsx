import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { create, readAgain } from "../../api/records";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { CARRIERS } from "./carriers";

/** A new connection; its page has the steps that remain. */
export function NewConnection({ onDone }: { onDone: () => void }) {
  const [carrier, setCarrier] = useState<string | null>("twilio");
  const [name, setName] = useState("Twilio");
  const [url, setUrl] = useState(globalThis.location.origin);
  const [sid, setSid] = useState("");
  const cache = useQueryClient();
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: () => create("connections", { name, carrier, public_base_url: url, account_sid: sid }),
    onSuccess: async (made) => {
      await readAgain(cache, "connections");
      onDone();
      await navigate({ to: "/connections/$id", params: { id: made.id } });
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
        <Select
          label="Carrier"
          allowDeselect={false}
          data={CARRIERS.map(({ value, label }) => ({ value, label }))}
          value={carrier}
          onChange={(value) => {
            setCarrier(value);
            setName(CARRIERS.find((one) => one.value === value)?.label ?? name);
          }}
        />
        <TextInput label="Name" required withAsterisk={false} value={name} onChange={(event) => setName(event.currentTarget.value)} error={fieldError(make.error, "name")} />
        <TextInput
          label="Address that the carrier reaches us at"
          description="Signatures are made over it, so it is exactly what the carrier calls."
          required
          withAsterisk={false}
          value={url}
          onChange={(event) => setUrl(event.currentTarget.value.trim())}
          error={fieldError(make.error, "public_base_url")}
        />
        <TextInput label="Account at the carrier (SID)" value={sid} onChange={(event) => setSid(event.currentTarget.value.trim())} error={fieldError(make.error, "account_sid")} />
        <ErrorNote error={make.error} shown={["name", "public_base_url", "account_sid"]} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending}>
            Connect
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
