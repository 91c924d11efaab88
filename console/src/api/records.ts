import type { QueryClient } from "@tanstack/react-query";
import { act, read, type Shapes } from "./client";
import { type ListPage, listed } from "./lists";

/** The configuration's documents by the noun of their paths. */
export interface Documents {
  campaigns: Shapes["CampaignBody"];
  offers: Shapes["OfferBody"];
  buyers: Shapes["BuyerBody"];
  publishers: Shapes["PublisherBody"];
  numbers: Shapes["NumberBody"];
  connections: Shapes["ConnectionBody"];
  flows: Shapes["FlowBody"];
  endpoints: Shapes["EndpointBody"];
}
export type Noun = keyof Documents;

/** A document as it stands, with its revision. */
export interface RecordOf<N extends Noun> {
  id: string;
  revision: number;
  archived: boolean;
  created_at: string;
  changed_at: string;
  document: Documents[N];
}

export interface Wanted {
  search?: string;
  status?: string;
  archived?: boolean;
  buyer_id?: string;
  connection_id?: string;
}

/** A record by noun and id, as a question. */
export function recordOf<N extends Noun>(noun: N, id: string) {
  return {
    queryKey: recordKey(noun, id),
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<RecordOf<N>> =>
      read(pathOf(noun, "/{id}"), { params: { path: { id } }, signal }) as unknown as Promise<RecordOf<N>>,
  };
}

/** The cache's key of a record; that of `question` on its path. */
export function recordKey(noun: Noun, id: string) {
  return [`/api/${noun}/{id}`, { id }, {}] as const;
}

const PAGE = 200;

/** All records of a noun, page by page. */
export function recordsOf<N extends Noun>(noun: N, wanted: Wanted = {}) {
  return listed([`/api/${noun}`, "rows", wanted], (cursor, signal) =>
    read(pathOf(noun, ""), { params: { query: { ...wanted, cursor, limit: PAGE } }, signal }) as unknown as Promise<
      ListPage<RecordOf<N>>
    >,
  );
}

/** Whether a key of the cache belongs to records of this noun, lists and single ones. */
export async function readAgain(cache: QueryClient, ...nouns: readonly (Noun | "caps" | "account")[]): Promise<void> {
  await cache.invalidateQueries({
    predicate: ({ queryKey: [first] }) => typeof first === "string" && nouns.some((noun) => first.startsWith(`/api/${noun}`)),
  });
}

export function create<N extends Noun>(noun: N, document: object): Promise<RecordOf<N>> {
  return act("post", pathOf(noun, ""), { body: document as never }) as unknown as Promise<RecordOf<N>>;
}

/** Put a document in place of the revision that was read; `changed_meanwhile` where somebody else was first. */
export function put<N extends Noun>(noun: N, id: string, revision: number, document: object): Promise<RecordOf<N>> {
  return act("put", pathOf(noun, "/{id}"), {
    params: { path: { id }, header: { "If-Match": `"${revision}"` } },
    body: document as never,
  }) as unknown as Promise<RecordOf<N>>;
}

export type Verb = "pause" | "resume" | "archive";

export function perform(noun: Noun, id: string, verb: Verb, note = ""): Promise<unknown> {
  return act("post", `/api/${noun}/{id}/${verb}` as "/api/buyers/{id}/pause", { params: { path: { id } }, body: { note } });
}

export function restore(noun: Noun, id: string, revision: number): Promise<unknown> {
  return act("post", `/api/${noun}/{id}/restore` as "/api/buyers/{id}/restore", { params: { path: { id } }, body: { revision } });
}

export function clone<N extends "campaigns" | "offers" | "buyers" | "publishers">(noun: N, id: string): Promise<RecordOf<N>> {
  return act("post", `/api/${noun}/{id}/clone` as "/api/buyers/{id}/clone", {
    params: { path: { id } },
    body: {},
  }) as unknown as Promise<RecordOf<N>>;
}

/** Plan a change of some fields for an instant to come. */
export function schedule(noun: Noun, id: string, startsAt: string, change: Record<string, unknown>, note = ""): Promise<unknown> {
  return act("post", `/api/${noun}/{id}/scheduled` as "/api/buyers/{id}/scheduled", {
    params: { path: { id } },
    body: { starts_at: startsAt, change, note },
  });
}

/** The paths of all nouns are alike; the types of one stand for all. */
function pathOf<S extends "" | "/{id}">(noun: Noun, rest: S): `/api/buyers${S}` {
  return `/api/${noun}${rest}` as `/api/buyers${S}`;
}
