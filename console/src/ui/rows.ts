import { type InfiniteData, useInfiniteQuery, type UseInfiniteQueryOptions } from "@tanstack/react-query";
import { useMemo } from "react";
import type { ListPage } from "../api/lists";

/** The rows of a list so far, and how to get more. */
export interface Rows<T> {
  rows: readonly T[];
  /** Nothing has been read yet. */
  waiting: boolean;
  error: unknown;
  hasMore: boolean;
  loadMore: () => void;
  retry: () => void;
}

type Listed<T> = UseInfiniteQueryOptions<ListPage<T>, Error, InfiniteData<ListPage<T>>, readonly unknown[], string | undefined>;

/** The rows of a `listed(…)` query, for `DataTable`. */
export function useRows<T>(options: Listed<T>): Rows<T> {
  const { data, error, isPending, isFetchingNextPage, hasNextPage, fetchNextPage, refetch } = useInfiniteQuery(options);
  const rows = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  return {
    rows,
    waiting: isPending,
    error,
    hasMore: hasNextPage,
    loadMore: () => {
      if (!isFetchingNextPage) void fetchNextPage();
    },
    retry: () => void refetch(),
  };
}

/** Rows that are all there already. */
export function allRows<T>(rows: readonly T[] | undefined, error: unknown, retry: () => void): Rows<T> {
  return { rows: rows ?? [], waiting: rows === undefined && !error, error, hasMore: false, loadMore: () => {}, retry };
}
