import { type InfiniteData, infiniteQueryOptions } from "@tanstack/react-query";
import type { Shapes } from "./client";

/** A page of a list of the API. */
export interface ListPage<T> {
  items: T[];
  next_cursor: string | null;
}

export type CallSummary = Shapes["CallSummary"];

/** A list to be read page by page as it is scrolled: `ask` reads one page. */
export function listed<T>(key: readonly unknown[], ask: (cursor: string | undefined, signal: AbortSignal) => Promise<ListPage<T>>) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: ListPage<T>) => last.next_cursor ?? undefined,
  });
}

/** The list with these calls as they stand now; the same object where none of them is in it. */
export function withCalls(
  data: InfiniteData<ListPage<CallSummary>>,
  now: ReadonlyMap<string, CallSummary>,
): InfiniteData<ListPage<CallSummary>> {
  let changed = false;
  const pages = data.pages.map((page) => {
    if (!page.items.some((call) => now.has(call.id))) return page;
    changed = true;
    return { ...page, items: page.items.map((call) => now.get(call.id) ?? call) };
  });
  return changed ? { ...data, pages } : data;
}

/** The list with its beginning as just read again; undefined where more came meanwhile than one page holds. */
export function withHead(
  data: InfiniteData<ListPage<CallSummary>>,
  head: ListPage<CallSummary>,
): InfiniteData<ListPage<CallSummary>> | undefined {
  const last = head.items.at(-1);
  const known = data.pages[0]?.items[0];
  if (last === undefined || head.next_cursor === null || known === undefined)
    return { pages: [head], pageParams: [undefined] };
  if (isOlder(known, last)) return undefined;
  const older = data.pages.map((page) => ({ ...page, items: page.items.filter((call) => isOlder(call, last)) }));
  const [first, ...rest] = older;
  if (first === undefined) return { pages: [head], pageParams: [undefined] };
  return { ...data, pages: [{ ...first, items: [...head.items, ...first.items] }, ...rest] };
}

/** Whether a call comes after another in a list, newest first. */
function isOlder(call: CallSummary, than: CallSummary): boolean {
  return call.arrived_at === than.arrived_at ? call.id < than.id : call.arrived_at < than.arrived_at;
}
