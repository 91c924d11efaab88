import { IconPhone } from "@tabler/icons-react";
import { read } from "../../api/client";
import { listed } from "../../api/lists";
import { DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { Page } from "../../ui/Page";
import { useRows } from "../../ui/rows";
import { COLUMNS } from "./columns";

export function CallsPage() {
  const rows = useRows(
    listed(["/api/calls", {}], (cursor, signal) => read("/api/calls", { params: { query: { cursor, limit: 200 } }, signal })),
  );
  return (
    <Page title="Calls" fill>
      <DataTable
        label="Calls"
        rows={rows}
        columns={COLUMNS}
        id={(call) => call.id}
        noun="calls"
        empty={
          <Empty icon={<IconPhone size={22} />} title="No calls yet">
            As soon as somebody dials one of your numbers, the call is here.
          </Empty>
        }
      />
    </Page>
  );
}
