import type { Shapes } from "../../api/client";
import type { Role } from "../../api/session";

export type Figures = Shapes["Figures"];
export type Metric = keyof Figures;

/** One figure on top of the overview. `of` is the denominator that it is shown against. */
export interface Tile {
  metric: Metric;
  label: string;
  of?: { metric: Metric; label: string };
  money?: boolean;
}

const RECEIVED: Tile = { metric: "received", label: "Received" };
const CONNECTED: Tile = { metric: "connected", label: "Connected", of: { metric: "received", label: "received" } };
const CONVERTED: Tile = { metric: "converted", label: "Converted", of: { metric: "connected", label: "connected" } };
const REVENUE: Tile = { metric: "revenue", label: "Revenue", money: true };
const PAYOUT: Tile = { metric: "payout", label: "Payout", money: true };

/** What a role is shown: its own side of the money. */
export function tilesFor(role: Role): readonly Tile[] {
  if (role === "buyer") return [RECEIVED, CONNECTED, CONVERTED, { ...REVENUE, label: "Spent" }];
  if (role === "publisher")
    return [RECEIVED, CONNECTED, { metric: "paid", label: "Paid", of: { metric: "connected", label: "connected" } }, { ...PAYOUT, label: "Earned" }];
  return [RECEIVED, CONNECTED, CONVERTED, REVENUE, PAYOUT, { metric: "profit", label: "Profit", money: true }];
}

/** How a figure changed, in per cent; undefined where there was nothing to compare with. */
export function change(now: number | string | null, before: number | string | null): number | undefined {
  const [present, past] = [Number(now ?? 0), Number(before ?? 0)];
  return past === 0 ? undefined : Math.round(((present - past) / Math.abs(past)) * 100);
}

/** The values of the last `hours` hours from groups of hours, nothing where there is no group. */
export function hourly(groups: readonly { at: string; value: number }[], until: Date, hours: number): number[] {
  const last = Math.floor(until.getTime() / 3_600_000);
  const values = Array.from({ length: hours }, () => 0);
  for (const group of groups) {
    const place = hours - 1 - (last - Math.floor(Date.parse(group.at) / 3_600_000));
    const before = values[place];
    if (before !== undefined) values[place] = before + group.value;
  }
  return values;
}

/** How much of a limit is used, from 0 to 1 and beyond; all of it where the limit is nothing. */
export function share(used: string, limit: string): number {
  const whole = Number(limit);
  return whole === 0 ? 1 : Number(used) / whole;
}
