import { ActionIcon, Button, Checkbox, Group, Modal, Select, Stack, TextInput, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconKey, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { act, read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { useAsk } from "../../ui/asking";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { SecretOnce } from "../../ui/SecretOnce";
import { Nothing, Status, When } from "../../ui/Values";

type Key = Shapes["ApiKey"];
type Scope = Shapes["KeysKeyBodyInput"]["scopes"][number];

const SCOPES: readonly { value: Scope; label: string }[] = [
  { value: "read", label: "Read: calls, configuration and money" },
  { value: "write", label: "Write: change configuration, report conversions" },
  { value: "money", label: "Money: adjust, book deposits, close statements" },
  { value: "admin", label: "Admin: people, keys and secrets" },
];
const FIELDS = ["name", "scopes", "expires_at"];

const keys = listed(["/api/keys"], (cursor, signal) => read("/api/keys", { params: { query: { cursor, limit: 200 } }, signal }));

function standing(key: Key) {
  if (key.revoked_at !== null) return <Status tone="rest">Revoked</Status>;
  if (key.expires_at !== null && Date.parse(key.expires_at) <= Date.now()) return <Status tone="rest">Over</Status>;
  return <Status tone="good">Active</Status>;
}

function columns(revoke: (key: Key) => void): readonly Column<Key>[] {
  return [
    { id: "name", label: "Name", width: 180, grow: true, cell: (key) => key.name },
    { id: "prefix", label: "Begins with", width: 130, cell: (key) => <span className="cm-mono">{key.prefix}…</span> },
    { id: "scopes", label: "Scopes", width: 150, cell: (key) => key.scopes.join(", ") },
    {
      id: "for",
      label: "For",
      width: 140,
      grow: true,
      cell: (key) => (key.buyer_id === null && key.publisher_id === null ? "The network" : <Name id={key.buyer_id ?? key.publisher_id} />),
    },
    { id: "status", label: "Status", width: 100, cell: standing },
    { id: "used", label: "Last used", width: 150, cell: (key) => <When at={key.last_used_at} /> },
    { id: "expires", label: "Valid until", width: 150, cell: (key) => <When at={key.expires_at} /> },
    {
      id: "revoke",
      label: "",
      width: 52,
      align: "right",
      cell: (key) =>
        key.revoked_at !== null ? (
          <Nothing />
        ) : (
          <Tooltip label="Revoke">
            <ActionIcon variant="subtle" color="gray" aria-label={`Revoke ${key.name}`} onClick={() => revoke(key)}>
              <IconTrash size={16} />
            </ActionIcon>
          </Tooltip>
        ),
    },
  ];
}

/** Keys for our own programs and partners'. */
export function KeysPage() {
  const rows = useRows(keys);
  const [opened, acts] = useDisclosure();
  const ask = useAsk();
  const cache = useQueryClient();
  const shown = useMemo(
    () =>
      columns((key) =>
        ask({
          title: `Revoke ${key.name}?`,
          body: "Whatever uses this key is refused from now on. A revoked key cannot be brought back; a new one can be made.",
          act: "Revoke",
          danger: true,
          run: async () => {
            await act("delete", "/api/keys/{id}", { params: { path: { id: key.id } } });
            await cache.invalidateQueries({ queryKey: ["/api/keys"] });
          },
        }),
      ),
    [ask, cache],
  );
  const make = (
    <Button leftSection={<IconPlus size={16} />} onClick={acts.open}>
      New key
    </Button>
  );
  return (
    <Page title="API keys" fill actions={make}>
      <DataTable
        label="API keys"
        rows={rows}
        columns={shown}
        id={(key) => key.id}
        noun={rows.rows.length === 1 ? "key" : "keys"}
        empty={
          <Empty icon={<IconKey size={22} />} title="No keys yet">
            A key lets a program read calls, report conversions or change the configuration, within the scopes that you give it.
            Partners get keys that see only what is theirs.
          </Empty>
        }
      />
      <Modal opened={opened} onClose={acts.close} title="New API key" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
        <KeyForm onDone={acts.close} />
      </Modal>
    </Page>
  );
}

function KeyForm({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(["read"]);
  const [whose, setWhose] = useState<string | null>("network");
  const [partner, setPartner] = useState<string>();
  const [expires, setExpires] = useState("");
  const cache = useQueryClient();
  const make = useMutation({
    mutationFn: () =>
      act("post", "/api/keys", {
        body: {
          name,
          scopes: SCOPES.map((one) => one.value).filter((one) => scopes.includes(one)),
          expires_at: expires === "" ? null : new Date(`${expires}T00:00:00Z`).toISOString(),
          buyer_id: whose === "buyer" ? (partner ?? null) : null,
          publisher_id: whose === "publisher" ? (partner ?? null) : null,
        },
      }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["/api/keys"] }),
  });
  if (make.data !== undefined)
    return (
      <SecretOnce label="Secret" secret={make.data.secret} onDone={onDone}>
        Copy the secret of {make.data.key.name} now and keep it where your program reads it. It is sent as{" "}
        <span className="cm-mono">Authorization: Bearer …</span>
      </SecretOnce>
    );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Stack>
        <TextInput
          label="Name"
          placeholder="Nightly export"
          required
          withAsterisk={false}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldError(make.error, "name")}
          data-autofocus
        />
        <Checkbox.Group label="What it may" value={scopes} onChange={setScopes} error={fieldError(make.error, "scopes")}>
          <Stack gap={6} mt={6}>
            {SCOPES.map((one) => (
              <Checkbox key={one.value} value={one.value} label={one.label} />
            ))}
          </Stack>
        </Checkbox.Group>
        <Group grow align="flex-end">
          <Select
            label="For"
            allowDeselect={false}
            data={[
              { value: "network", label: "The network" },
              { value: "buyer", label: "A buyer’s system" },
              { value: "publisher", label: "A publisher’s system" },
            ]}
            value={whose}
            onChange={(value) => {
              setWhose(value);
              setPartner(undefined);
            }}
          />
          {whose === "buyer" && <NamePicker kind="buyer" label="Buyer" value={partner} onChange={setPartner} />}
          {whose === "publisher" && <NamePicker kind="publisher" label="Publisher" value={partner} onChange={setPartner} />}
          <TextInput
            type="date"
            label="Valid until (optional, UTC)"
            value={expires}
            onChange={(event) => setExpires(event.currentTarget.value)}
            error={fieldError(make.error, "expires_at")}
          />
        </Group>
        <ErrorNote error={make.error} shown={FIELDS} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending} disabled={scopes.length === 0}>
            Make the key
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
