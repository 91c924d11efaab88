import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { read, type Shapes } from "../../api/client";

type FactsQuery = NonNullable<NonNullable<Parameters<typeof read<"/api/facts">>[1]>["params"]>["query"];

const MINUTE_MS = 60_000;

/** Sums that are asked again when something happens (`now`), every few seconds then (`slow`), or each minute. */
export function useFigures(pace: "now" | "slow" | "minute", query: NonNullable<FactsQuery>) {
  return useQuery({
    queryKey: ["overview", pace, query],
    queryFn: ({ signal }): Promise<Shapes["Facts"]> => read("/api/facts", { params: { query }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: MINUTE_MS,
  });
}
