import { queryOptions } from "@tanstack/react-query";
import createClient, { type MaybeOptionalInit, type MethodResponse } from "openapi-fetch";
import type { HttpMethod, PathsWithMethod, RequiredKeysOf } from "openapi-typescript-helpers";
import { Refused } from "./problem";
import type { components, paths } from "./schema";

/** The shapes of the API by name: what is read, and as `…Input` what is sent. */
export type Shapes = components["schemas"];

type Verb = "post" | "put" | "patch" | "delete";
type Path<M extends HttpMethod> = PathsWithMethod<paths, M>;
type Init<M extends HttpMethod, P extends Path<M>> = MaybeOptionalInit<paths[P], M>;
type InitArgument<M extends HttpMethod, P extends Path<M>> =
  RequiredKeysOf<Init<M, P>> extends never ? [init?: Init<M, P>] : [init: Init<M, P>];
type Answer<M extends HttpMethod, P extends Path<M>> = MethodResponse<typeof client, M, P>;

let csrfToken = "";

/** What every change carries from now on. */
export function signedIn(token: string): void {
  csrfToken = token;
}

const client = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "http://localhost",
  // Looked up at each call, so that whoever replaces it is asked.
  fetch: (request) => globalThis.fetch(request),
});
client.use({
  onRequest({ request }) {
    if (csrfToken !== "" && request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
    if (request.method === "PATCH") request.headers.set("Content-Type", "application/merge-patch+json");
  },
});

/** A question as options for `useQuery`, `prefetchQuery` and the like: `useQuery(question("/api/me"))`. */
export function question<P extends Path<"get">>(path: P, ...[init]: InitArgument<"get", P>) {
  return queryOptions({
    queryKey: keyOf(path, init),
    queryFn: ({ signal }) => read(path, ...([{ ...init, signal }] as unknown as InitArgument<"get", P>)),
  });
}

/** The cache's key of a question: its path, then its path parameters and query. */
export function keyOf(path: string, init?: unknown) {
  const { path: named = {}, query = {} } = (init as { params?: { path?: object; query?: object } })?.params ?? {};
  return [path, named, query] as const;
}

/** Ask once; throws `Refused`. */
export async function read<P extends Path<"get">>(path: P, ...[init]: InitArgument<"get", P>): Promise<Answer<"get", P>> {
  return unwrapped(await client.GET(path, init as never)) as Answer<"get", P>;
}

/** Change something: `act("post", "/api/buyers/{id}/pause", {params: {path: {id}}, body: {}})`; throws `Refused`. */
export async function act<M extends Verb, P extends Path<M>>(
  method: M,
  path: P,
  ...[init]: InitArgument<M, P>
): Promise<Answer<M, P>> {
  return unwrapped(await client.request(method, path, init as never)) as Answer<M, P>;
}

function unwrapped(answer: { data?: unknown; error?: unknown; response: Response }): unknown {
  if (answer.response.ok) return answer.data;
  const told = answer.error as Partial<Shapes["ProblemDocument"]> | undefined;
  throw new Refused({
    status: answer.response.status,
    code: told?.code ?? "internal",
    detail: told?.detail ?? `The server answered ${answer.response.status}`,
    problems: told?.problems,
  });
}
