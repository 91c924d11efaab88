import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { refusalOf } from "../../api/problem";
import { count } from "../../ui/format";
import { useToast } from "../../ui/toasts";
import { exportCsv } from "./exporting";
import type { CallFilters } from "./filters";

/** Saves every call that the filters ask for as CSV, and tells how far it is. */
export function ExportButton({ filters }: { filters: CallFilters }) {
  const [rows, setRows] = useState<number>();
  const stop = useRef<AbortController>(null);
  const toast = useToast();
  const run = async () => {
    stop.current = new AbortController();
    setRows(0);
    try {
      const all = await exportCsv(filters, setRows, stop.current.signal);
      toast({ text: `${count(all)} calls were saved as CSV.` });
    } catch (error) {
      if (!stop.current.signal.aborted) toast({ text: `The export failed: ${refusalOf(error).message}`, tone: "bad" });
    } finally {
      setRows(undefined);
    }
  };
  if (rows !== undefined)
    return (
      <Button variant="default" onClick={() => stop.current?.abort()}>
        <span className="cm-number">{rows === 0 ? "Preparing…" : `${count(rows)} calls…`}</span>&nbsp;Cancel
      </Button>
    );
  return (
    <Tooltip label="Export as CSV">
      <ActionIcon variant="default" size={34} aria-label="Export as CSV" onClick={() => void run()}>
        <IconDownload size={17} />
      </ActionIcon>
    </Tooltip>
  );
}
