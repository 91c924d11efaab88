/** A buyer's list of calls against ours; pure. Amounts stay decimal texts, compared in whole millionths. */

export interface TheirCall {
  line: number;
  caller: string;
  at: string;
  amount: string;
}

export interface OurCall {
  id: string;
  caller: string | null;
  at: string;
  amount: string;
}

export interface Pair {
  theirs: TheirCall | undefined;
  ours: OurCall | undefined;
  verdict: "same" | "amount" | "only_theirs" | "only_ours";
}

export const APART_MS = 60_000;

/** Lines of CSV: caller, time, amount, in the order that a header tells, or that one. */
export function theirCalls(text: string): { calls: TheirCall[]; wrong: number[] } {
  const calls: TheirCall[] = [];
  const wrong: number[] = [];
  let order = { caller: 0, at: 1, amount: 2 };
  for (const [place, row] of text.split(/\r?\n/).entries()) {
    if (row.trim() === "") continue;
    const cells = row.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"|"$/g, ""));
    if (place === 0 && !/\d{5}/.test(row)) {
      const find = (name: RegExp, usual: number) => {
        const found = cells.findIndex((cell) => name.test(cell));
        return found < 0 ? usual : found;
      };
      order = { caller: find(/caller|phone|number|ani|cid/i, 0), at: find(/time|date|at\b|start/i, 1), amount: find(/amount|price|payout|revenue|cost/i, 2) };
      continue;
    }
    const caller = (cells[order.caller] ?? "").replace(/\D/g, "");
    const at = Date.parse(cells[order.at] ?? "");
    const amount = (cells[order.amount] ?? "").replace(/[^\d.-]/g, "");
    if (caller.length < 7 || Number.isNaN(at) || micros(amount) === undefined) wrong.push(place + 1);
    else calls.push({ line: place + 1, caller: caller.length === 10 ? `1${caller}` : caller, at: new Date(at).toISOString(), amount });
  }
  return { calls, wrong };
}

/** Each of their calls with ours of the same caller within a minute, the closest first; and what is left on either side. */
export function paired(theirs: readonly TheirCall[], ours: readonly OurCall[]): Pair[] {
  const apart = (one: TheirCall, other: OurCall) => Math.abs(Date.parse(one.at) - Date.parse(other.at));
  const candidates = theirs
    .flatMap((one) =>
      ours
        .filter((other) => other.caller?.replace(/\D/g, "") === one.caller && apart(one, other) <= APART_MS)
        .map((other) => ({ one, other, apart: apart(one, other) })),
    )
    .sort((left, right) => left.apart - right.apart);
  const taken = new Map<TheirCall, OurCall>();
  const used = new Set<OurCall>();
  for (const { one, other } of candidates) {
    if (taken.has(one) || used.has(other)) continue;
    taken.set(one, other);
    used.add(other);
  }
  return [
    ...theirs.map((one): Pair => {
      const other = taken.get(one);
      if (other === undefined) return { theirs: one, ours: undefined, verdict: "only_theirs" };
      return { theirs: one, ours: other, verdict: micros(one.amount) === micros(other.amount) ? "same" : "amount" };
    }),
    ...ours.filter((other) => !used.has(other)).map((other): Pair => ({ theirs: undefined, ours: other, verdict: "only_ours" })),
  ];
}

/** The sum of decimal texts, as one. */
export function total(amounts: readonly string[]): string {
  const sum = amounts.reduce((before, one) => before + (micros(one) ?? 0n), 0n);
  const digits = (sum < 0n ? -sum : sum).toString().padStart(7, "0");
  return `${sum < 0n ? "-" : ""}${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

function micros(amount: string): bigint | undefined {
  const parts = /^(-?)(\d*)(?:\.(\d{0,6}))?$/.exec(amount);
  if (parts === null || (parts[2] === "" && (parts[3] ?? "") === "")) return undefined;
  const value = BigInt(parts[2] || "0") * 1_000_000n + BigInt((parts[3] ?? "").padEnd(6, "0"));
  return parts[1] === "-" ? -value : value;
}
