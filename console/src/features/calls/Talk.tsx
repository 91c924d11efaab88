import { useSyncExternalStore } from "react";
import { clock } from "../../ui/format";
import type { Call } from "./filters";

const TICK_MS = 1_000;
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let now = Date.now();

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const one of watchers) one();
  }, TICK_MS);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

const still = () => () => {};

/** How long a call has talked; while it is bridged the seconds count on. */
export function Talk({ call }: { call: Call }) {
  const counting = call.state !== "ended" && call.connected_at !== null && call.bridged_ms === 0;
  const at = useSyncExternalStore(counting ? watch : still, () => (counting ? now : 0));
  const ms = counting ? at - Date.parse(call.connected_at ?? "") : call.bridged_ms;
  return <>{clock(ms / 1000)}</>;
}
