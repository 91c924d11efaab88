import { useQuery } from "@tanstack/react-query";
import { read, type Shapes } from "./client";

type Named = Shapes["Named"];

const WAIT_MS = 25;
const MOST = 100;
const STALE_MS = 60_000;
let waiting = new Map<string, ((found: Named | null) => void)[]>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Ask for a record's name together with all others that are asked for at about the same time. */
function nameOf(id: string): Promise<Named | null> {
  return new Promise((resolve) => {
    waiting.set(id, [...(waiting.get(id) ?? []), resolve]);
    timer ??= setTimeout(() => void askAll(), WAIT_MS);
  });
}

async function askAll(): Promise<void> {
  timer = undefined;
  const asked = waiting;
  waiting = new Map();
  const ids = [...asked.keys()];
  for (let at = 0; at < ids.length; at += MOST) {
    const some = ids.slice(at, at + MOST);
    const found = await read("/api/names", { params: { query: { ids: some.join(",") } } }).catch(() => ({ items: [] }));
    const byId = new Map(found.items.map((one) => [one.id, one]));
    for (const id of some) for (const resolve of asked.get(id) ?? []) resolve(byId.get(id) ?? null);
  }
}

/** What a record is called; its id where nobody knows, and undefined until it is known. */
export function useName(id: string | null | undefined): string | undefined {
  const { data } = useQuery({
    queryKey: ["/api/names", id],
    queryFn: () => nameOf(id ?? ""),
    enabled: id !== null && id !== undefined && id !== "",
    staleTime: STALE_MS,
  });
  return data === undefined ? undefined : (data?.name ?? id ?? undefined);
}
