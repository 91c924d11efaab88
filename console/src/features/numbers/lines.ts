/** Numbers as people paste them; pure. */

export interface PastedLine {
  /** As it was pasted, counted from 1. */
  line: number;
  text: string;
  number: string | undefined;
  tags: Record<string, string>;
  problem: string | undefined;
}

export const MOST_LINES = 1_000;

/**
 * One number a line, or CSV: the first column is the number, further ones are tags, `name=value` or in the order of a
 * header line `number,source,…`. North American numbers may lack the country.
 */
export function pastedLines(text: string): PastedLine[] {
  const lines = text.split(/\r?\n/).map((one, place) => ({ line: place + 1, text: one.trim() }));
  let header: string[] = [];
  const found: PastedLine[] = [];
  const seen = new Set<string>();
  for (const { line, text: row } of lines) {
    if (row === "") continue;
    const cells = row.split(/[,;\t]/).map((one) => one.trim().replace(/^"|"$/g, ""));
    if (found.length === 0 && header.length === 0 && !/\d/.test(cells[0] ?? "")) {
      header = cells;
      continue;
    }
    const number = e164(cells[0] ?? "");
    const problem = number === undefined ? "This is not a phone number" : seen.has(number) ? "It is in the list twice" : undefined;
    if (number !== undefined) seen.add(number);
    found.push({ line, text: row, number, tags: tagsOf(cells.slice(1), header.slice(1)), problem });
  }
  return found.slice(0, MOST_LINES);
}

function tagsOf(cells: readonly string[], names: readonly string[]): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const [place, cell] of cells.entries()) {
    const [name, value] = cell.includes("=") ? [cell.slice(0, cell.indexOf("=")), cell.slice(cell.indexOf("=") + 1)] : [names[place] ?? "", cell];
    if (name !== "" && value !== "") tags[name.trim()] = value.trim();
  }
  return tags;
}

/** `(415) 555-0100` is `+14155550100`; undefined where it is none. */
export function e164(text: string): string | undefined {
  if (/[a-z]/i.test(text)) return undefined;
  const digits = text.replace(/\D/g, "");
  if (text.trim().startsWith("+")) return digits.length >= 8 && digits.length <= 15 ? `+${digits}` : undefined;
  if (digits.length === 10) return `+1${digits}`;
  if (digits.length === 11 && digits.startsWith("1")) return `+${digits}`;
  return undefined;
}
