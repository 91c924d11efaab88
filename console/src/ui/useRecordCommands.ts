import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { question } from "../api/client";
import { useMay } from "../api/session";
import { words } from "./format";
import type { Command } from "./shortcuts";

const LEAST = 2;
const WAIT_MS = 120;

/** The records whose name has what is typed, as commands that open them, and the calls of a number. */
export function useRecordCommands(wanted: string): readonly Command[] {
  const staff = useMay("staff");
  const navigate = useNavigate();
  const router = useRouter();
  const [search] = useDebouncedValue(wanted.trim(), WAIT_MS);
  const asks = staff && search.length >= LEAST && wanted.trim().length >= LEAST;
  const { data } = useQuery({
    ...question("/api/names", { params: { query: { search } } }),
    enabled: asks,
    placeholderData: keepPreviousData,
  });
  if (!asks) return [];
  const opened = (data?.items ?? []).filter((one) => `/${one.kind}s/$id` in router.routesByPath);
  const commands: Command[] = opened.map((one) => ({
    label: one.name,
    group: words(one.kind),
    words: one.id,
    run: () => void navigate({ to: `/${one.kind}s/${one.id}` } as never),
  }));
  if (/^[+(\d][\d\s().-]{6,}$/.test(search))
    commands.push({
      label: `Calls of ${search}`,
      group: "Calls",
      words: search,
      run: () => void navigate({ to: "/calls", search: { caller: search } } as never),
    });
  return commands;
}
