import { useSyncExternalStore } from "react";
import { clock } from "./format";

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

/** How long ago an instant was, counting on every second; one clock ticks for all of a page. */
export function Seconds({ since }: { since: string }) {
  const at = useSyncExternalStore(watch, () => now);
  return <span className="cm-number">{clock((at - Date.parse(since)) / 1000)}</span>;
}
