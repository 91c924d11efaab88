import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";

/** How one filter is read from the address; undefined where it is not there or makes no sense. */
export type Reads<T> = (text: string) => T | undefined;
type Spec = Record<string, Reads<unknown>>;
type Filters<S extends Spec> = { [K in keyof S]?: S[K] extends Reads<infer T> ? T : never };

export const text: Reads<string> = (value) => (value === "" ? undefined : value);

export function oneOf<const T extends readonly string[]>(values: T): Reads<T[number]> {
  return (value) => values.find((one) => one === value);
}

export const flag: Reads<boolean> = (value) => (value === "true" ? true : value === "false" ? false : undefined);

/** An RFC 3339 instant. */
export const instantFilter: Reads<string> = (value) => (Number.isNaN(Date.parse(value)) ? undefined : value);

/** The filters of a page out of the parameters of its address. */
export function filtersIn<S extends Spec>(spec: S, search: Record<string, unknown>): Filters<S> {
  const found: Record<string, unknown> = {};
  for (const [name, reads] of Object.entries(spec)) {
    const value = search[name];
    const read = value === undefined ? undefined : reads(String(value));
    if (read !== undefined) found[name] = read;
  }
  return found as Filters<S>;
}

/**
 * Filters that live in the address, so that a view can be linked to and the back button works:
 * `const [filters, change] = useFilters({status: oneOf(["live", "ended"]), campaign_id: text})`.
 * `change({status: undefined})` takes one away. The spec must be a constant of its module.
 */
export function useFilters<S extends Spec>(spec: S): [Filters<S>, (change: Filters<S>) => void] {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const filters = useMemo(() => filtersIn(spec, search), [spec, search]);
  const change = useCallback(
    (changed: Filters<S>) => {
      void navigate({
        to: ".",
        search: (before: Record<string, unknown>) => given({ ...before, ...changed }),
        replace: true,
      } as never);
    },
    [navigate],
  );
  return [filters, change];
}

function given(search: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined && value !== ""));
}
