import { IconUsers } from "@tabler/icons-react";
import { read } from "../../api/client";
import { listed } from "../../api/lists";
import type { Shapes } from "../../api/client";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { RecordStatus, When } from "../../ui/Values";
import { words } from "../../ui/format";

type User = Shapes["User"];

const users = listed(["/api/users"], (cursor, signal) => read("/api/users", { params: { query: { cursor, limit: 100 } }, signal }));

const COLUMNS: readonly Column<User>[] = [
  { id: "name", label: "Name", width: 180, grow: true, cell: (user) => user.name },
  { id: "email", label: "E-mail", width: 220, grow: true, cell: (user) => user.email },
  { id: "role", label: "Role", width: 120, cell: (user) => words(user.role) },
  { id: "status", label: "Status", width: 120, cell: (user) => <RecordStatus status={user.status} /> },
  { id: "seen", label: "Last seen", width: 170, cell: (user) => <When at={user.last_seen_at} /> },
];

export function PeoplePage() {
  const rows = useRows(users);
  return (
    <Page title="People" fill>
      <DataTable
        label="People"
        rows={rows}
        columns={COLUMNS}
        id={(user) => user.id}
        noun="people"
        empty={<Empty icon={<IconUsers size={22} />} title="Nobody yet" />}
      />
    </Page>
  );
}
