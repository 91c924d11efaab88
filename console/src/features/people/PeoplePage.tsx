import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconUsers } from "@tabler/icons-react";
import { useState } from "react";
import { read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Page } from "../../ui/Page";
import { RowButton } from "../../ui/RowButton";
import { useRows } from "../../ui/rows";
import { Nothing, RecordStatus, Status, When } from "../../ui/Values";
import { PersonDialog } from "./PersonDialog";

export type User = Shapes["User"];

const users = listed(["/api/users"], (cursor, signal) => read("/api/users", { params: { query: { cursor, limit: 200 } }, signal }));

function columns(open: (user: User) => void): readonly Column<User>[] {
  return [
    { id: "name", label: "Name", width: 170, grow: true, cell: (user) => <RowButton onClick={() => open(user)}>{user.name}</RowButton> },
    { id: "email", label: "E-mail", width: 200, grow: true, cell: (user) => user.email },
    { id: "role", label: "Role", width: 110, cell: (user) => words(user.role) },
    {
      id: "of",
      label: "Of",
      width: 150,
      grow: true,
      cell: (user) => (user.buyer_id === null && user.publisher_id === null ? <Nothing /> : <Name id={user.buyer_id ?? user.publisher_id} />),
    },
    {
      id: "status",
      label: "Status",
      width: 120,
      cell: (user) => (user.has_password || user.status !== "active" ? <RecordStatus status={user.status} /> : <Status tone="info">Invited</Status>),
    },
    { id: "seen", label: "Last seen", width: 160, cell: (user) => <When at={user.last_seen_at} /> },
  ];
}

/** Who may sign in, and as what. */
export function PeoplePage() {
  const rows = useRows(users);
  const [chosen, setChosen] = useState<User>();
  const [opened, acts] = useDisclosure();
  const open = (user: User | undefined) => {
    setChosen(user);
    acts.open();
  };
  const [shown] = useState(() => columns(open));
  return (
    <Page
      title="People"
      fill
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={() => open(undefined)}>
          Invite somebody
        </Button>
      }
    >
      <DataTable
        label="People"
        rows={rows}
        columns={shown}
        id={(user) => user.id}
        noun={rows.rows.length === 1 ? "person" : "people"}
        empty={
          <Empty icon={<IconUsers size={22} />} title="Nobody yet">
            Invite people by a one-time link. Managers run the network, analysts watch it, buyers and publishers see what is theirs.
          </Empty>
        }
        compact={(user) => (
          <RowButton onClick={() => open(user)}>
            {user.name}
            <br />
            <span style={{ color: "var(--mantine-color-dimmed)" }}>{`${words(user.role)} · ${user.email}`}</span>
          </RowButton>
        )}
      />
      <PersonDialog key={chosen?.id ?? "new"} user={chosen} opened={opened} onClose={acts.close} />
    </Page>
  );
}
