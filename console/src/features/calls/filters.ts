import type { Shapes } from "../../api/client";
import { flag, instantFilter, oneOf, text } from "../../ui/filters";

export const STATUSES = ["live", "connected", "not_connected", "converted", "paid", "blocked", "review", "unsettled", "ended"] as const;

/** What a list of calls can be filtered by; the names are those of the API. */
export const FILTERS = {
  status: oneOf(STATUSES),
  campaign_id: text,
  buyer_id: text,
  publisher_id: text,
  offer_id: text,
  caller: text,
  tag: text,
  end_reason: text,
  since: instantFilter,
  until: instantFilter,
  test: flag,
  days: text,
};

export interface CallFilters {
  status?: (typeof STATUSES)[number];
  campaign_id?: string;
  buyer_id?: string;
  publisher_id?: string;
  offer_id?: string;
  caller?: string;
  tag?: string;
  end_reason?: string;
  since?: string;
  until?: string;
  test?: boolean;
}

/** The filters as they stand in the address: `days` are days of the account's zone, by name or date. */
export type ChosenFilters = CallFilters & { days?: string };

export type Call = Shapes["CallSummary"];

/** A view that was saved: filters and columns under a name. */
export interface SavedView {
  name: string;
  filters: ChosenFilters;
  columns: readonly string[];
}

/** The views with one saved under its name, in the place of an older one of that name. */
export function withView(views: readonly SavedView[], view: SavedView): readonly SavedView[] {
  const named = views.findIndex((one) => one.name === view.name);
  return named < 0 ? [...views, view] : views.with(named, view);
}

/** Whether two sets of filters ask the same. */
export function sameFilters(left: ChosenFilters, right: ChosenFilters): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]) as Set<keyof ChosenFilters>;
  return [...names].every((name) => left[name] === right[name]);
}

/** The filters as the query of a request. */
export function queryOf(filters: ChosenFilters): string {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

/** No filter at all. */
export const NOTHING: Readonly<Record<keyof ChosenFilters, undefined>> = {
  status: undefined,
  campaign_id: undefined,
  buyer_id: undefined,
  publisher_id: undefined,
  offer_id: undefined,
  caller: undefined,
  tag: undefined,
  end_reason: undefined,
  since: undefined,
  until: undefined,
  test: undefined,
  days: undefined,
};
