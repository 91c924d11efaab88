import { Skeleton } from "@mantine/core";
import { lazy, Suspense } from "react";
import { count } from "../../ui/format";
import { Part } from "../../ui/Part";
import { useFigures } from "./useFigures";
import classes from "./Overview.module.css";

const StateMap = lazy(() => import("./StateMap"));
const LISTED = 6;

/** Where today's calls come from. */
export function WhereFrom() {
  const { data } = useFigures("slow", { metrics: "received", by: "caller_state", range: "today", limit: 100 });
  const groups = data?.groups ?? [];
  const counts = new Map(groups.flatMap((one) => (one.by.caller_state == null ? [] : [[one.by.caller_state, one.figures.received ?? 0] as const])));
  const known = [...counts.values()].reduce((sum, one) => sum + one, 0);
  const all = data?.total.received ?? 0;
  return (
    <Part title="Where calls come from" note="today">
      <div className={classes.map}>
        <Suspense fallback={<Skeleton height="100%" />}>
          <StateMap counts={counts} />
        </Suspense>
      </div>
      <ol className={classes.states}>
        {[...counts].slice(0, LISTED).map(([state, calls]) => (
          <li key={state}>
            <span>{state}</span>
            <span className="cm-number">{count(calls)}</span>
          </li>
        ))}
      </ol>
      <p className={classes.known}>{`${count(known)} of ${count(all)} received calls with a known state`}</p>
    </Part>
  );
}
