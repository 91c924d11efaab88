import { IconKey } from "@tabler/icons-react";
import { read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { When } from "../../ui/Values";

type Key = Shapes["ApiKey"];

const keys = listed(["/api/keys"], (cursor, signal) => read("/api/keys", { params: { query: { cursor, limit: 100 } }, signal }));

const COLUMNS: readonly Column<Key>[] = [
  { id: "name", label: "Name", width: 200, grow: true, cell: (key) => key.name },
  { id: "prefix", label: "Begins with", width: 140, cell: (key) => <span className="cm-mono">{key.prefix}…</span> },
  { id: "scopes", label: "Scopes", width: 200, cell: (key) => key.scopes.join(", ") },
  { id: "used", label: "Last used", width: 170, cell: (key) => <When at={key.last_used_at} /> },
];

export function KeysPage() {
  const rows = useRows(keys);
  return (
    <Page title="API keys" fill>
      <DataTable
        label="API keys"
        rows={rows}
        columns={COLUMNS}
        id={(key) => key.id}
        noun="keys"
        empty={<Empty icon={<IconKey size={22} />} title="No keys yet" />}
      />
    </Page>
  );
}
