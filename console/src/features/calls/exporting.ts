import { Refused } from "../../api/problem";
import type { CallFilters } from "./filters";
import { queryOf } from "./filters";

const NEWLINE = 10;

/** Every call that filters ask for, saved as a file; `onRows` is told how many came so far. */
export async function exportCsv(filters: CallFilters, onRows: (rows: number) => void, signal: AbortSignal): Promise<number> {
  const answer = await fetch(`/api/calls?${queryOf(filters)}`, { headers: { Accept: "text/csv" }, signal });
  if (!answer.ok || answer.body === null) {
    const told = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string };
    throw new Refused({
      status: answer.status,
      code: told.code ?? "internal",
      detail: told.detail ?? `The server answered ${answer.status}`,
    });
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let lines = -1;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    for (const byte of value) if (byte === NEWLINE) lines += 1;
    onRows(Math.max(0, lines));
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
  link.download = `calls-${new Date().toISOString().slice(0, 10)}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
  return Math.max(0, lines);
}
