import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { read } from "../../api/client";
import { type ListPage, listed, withHead } from "../../api/lists";
import { type CallEvent, useLive } from "../../api/live";
import { useRows } from "../../ui/rows";
import type { Call, CallFilters } from "./filters";

const PAGE = 200;
const HEAD = 50;
const LOOK_MS = 1_000;

/** The calls that filters ask for, newest first; new ones come on top while `atTop`, else they are counted. */
export function useCalls(filters: CallFilters, atTop: boolean) {
  const cache = useQueryClient();
  const options = useMemo(
    () =>
      listed(["/api/calls", {}, filters], (cursor, signal) =>
        read("/api/calls", { params: { query: { ...filters, cursor, limit: PAGE } }, signal }),
      ),
    [filters],
  );
  const rows = useRows(options);
  const [arrived, setArrived] = useState(0);
  const pending = useRef({ looking: false, again: false });
  const look = useCallback(async () => {
    const state = pending.current;
    if (state.looking) {
      state.again = true;
      return;
    }
    state.looking = true;
    try {
      const head = await read("/api/calls", { params: { query: { ...filters, limit: HEAD } } });
      const before = cache.getQueryData<InfiniteData<ListPage<Call>>>(options.queryKey);
      if (before === undefined) return;
      const after = withHead(before, head);
      if (after === undefined) await cache.resetQueries({ queryKey: options.queryKey, exact: true });
      else cache.setQueryData(options.queryKey, after);
      setArrived(0);
    } catch {
      // The stream tells when the server is away; then all is read again.
    } finally {
      setTimeout(() => {
        state.looking = false;
        if (!state.again) return;
        state.again = false;
        void look();
      }, LOOK_MS);
    }
  }, [cache, filters, options]);
  const away = useRef(!atTop);
  away.current = !atTop;
  useLive(
    useCallback(
      (events: readonly CallEvent[]) => {
        if (!away.current) void look();
        else setArrived((count) => count + events.filter((one) => one.kind === "arrived").length);
      },
      [look],
    ),
  );
  useEffect(() => {
    if (atTop && arrived > 0) void look();
  }, [atTop, arrived, look]);
  return { rows, arrived };
}
