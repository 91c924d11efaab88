import { type InfiniteData, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import type { Shapes } from "./client";
import { type CallSummary, type ListPage, withCalls } from "./lists";

/** Something that happened to a call; `call` is the call as it stands now. */
export type CallEvent = Shapes["CallEvent"];
type Listener = (events: readonly CallEvent[]) => void;

/** `live`: events come as they happen; `reconnecting`: for so long that a person should know. */
export type LiveState = "connecting" | "live" | "reconnecting";

const FLUSH_MS = 250;
const PATIENCE_MS = 2_500;
const MAX_WAITING = 5_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const HIDDEN_MS = 60_000;

// Every kind, or this does not compile: an EventSource tells only those that are asked for by name.
const KINDS: Record<CallEvent["kind"], true> = {
  acceptance_entered: true,
  adjusted: true,
  arrived: true,
  bids_returned: true,
  call_ended: true,
  cap_full: true,
  conversion_reported: true,
  digits_entered: true,
  disposed: true,
  failed_safe: true,
  fetched: true,
  gather_timed_out: true,
  leg_answered: true,
  leg_ended: true,
  leg_reported: true,
  leg_ringing: true,
  looked: true,
  post_answered: true,
  recording_ready: true,
  rerated: true,
  reserved: true,
  timed_out: true,
  voicemail_ended: true,
};

/** The one stream of events of this tab, told in batches of at most four a second. */
class Live {
  #source: EventSource | undefined;
  #state: LiveState = "connecting";
  #lastId = "";
  #opened = false;
  #failures = 0;
  #waiting: CallEvent[] = [];
  #flushedAt = 0;
  #timers: { flush?: Timer; retry?: Timer; patience?: Timer; hidden?: Timer } = {};
  #watchers = new Set<() => void>();
  #listeners = new Set<Listener>();
  #onGap: () => void = () => {};

  /** Begin; `onGap` is called where events may be missing, so that everything is to be read again. */
  start(onGap: () => void): void {
    this.#onGap = onGap;
    if (this.#source !== undefined || this.#timers.retry !== undefined) return;
    document.addEventListener("visibilitychange", this.#seen);
    this.#open();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.#seen);
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#close();
    this.#waiting = [];
    this.#lastId = "";
    this.#opened = false;
    this.#tell("connecting");
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  state = (): LiveState => this.#state;

  #open(): void {
    this.#timers.retry = undefined;
    const resumed = this.#lastId === "" ? "" : `?last_event_id=${encodeURIComponent(this.#lastId)}`;
    const source = new EventSource(`/api/events${resumed}`);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      clearTimeout(this.#timers.patience);
      this.#timers.patience = undefined;
      // Without the id of an event nobody can tell what was missed.
      if (this.#opened && this.#lastId === "") this.#onGap();
      this.#opened = true;
      this.#tell("live");
    };
    source.onerror = () => this.#lost(source);
    source.addEventListener("reset", () => this.#onGap());
    for (const kind of Object.keys(KINDS)) {
      source.addEventListener(kind, (message: MessageEvent<string>) => {
        this.#lastId = message.lastEventId;
        this.#take(JSON.parse(message.data) as CallEvent);
      });
    }
  }

  #close(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  /** A browser comes back by itself while the connection breaks, but gives up at an answer that is no stream. */
  #lost(source: EventSource): void {
    this.#timers.patience ??= setTimeout(() => this.#tell("reconnecting"), PATIENCE_MS);
    if (source.readyState !== EventSource.CLOSED || source !== this.#source) return;
    this.#close();
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    this.#timers.retry = setTimeout(() => this.#open(), wait);
  }

  /** A tab that nobody looks at holds no connection (a browser has six a server); it goes on when it is seen. */
  #seen = (): void => {
    clearTimeout(this.#timers.hidden);
    if (document.visibilityState === "hidden") {
      this.#timers.hidden = setTimeout(() => this.#close(), HIDDEN_MS);
    } else if (this.#source === undefined && this.#timers.retry === undefined) {
      this.#open();
    }
  };

  #take(event: CallEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting = [];
      this.#onGap();
    }
    this.#timers.flush ??= setTimeout(() => this.#flush(), Math.max(0, this.#flushedAt + FLUSH_MS - performance.now()));
  }

  #flush(): void {
    this.#timers.flush = undefined;
    this.#flushedAt = performance.now();
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }

  #tell(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const watcher of this.#watchers) watcher();
  }
}

type Timer = ReturnType<typeof setTimeout>;

const live = new Live();

/** Open the stream for as long as somebody is signed in, and keep what is cached of calls as they stand. */
export function useLiveCache(cache: QueryClient): void {
  useEffect(() => {
    live.start(() => void cache.invalidateQueries());
    const ignore = live.listen((events) => keep(cache, events));
    return () => {
      ignore();
      live.stop();
    };
  }, [cache]);
}

function keep(cache: QueryClient, events: readonly CallEvent[]): void {
  const now = new Map(events.map((event) => [event.call_id, event.call]));
  cache.setQueriesData<InfiniteData<ListPage<CallSummary>>>({ queryKey: ["/api/calls"] }, (data) =>
    data?.pages === undefined ? data : withCalls(data, now),
  );
  for (const id of now.keys()) void cache.invalidateQueries({ queryKey: ["/api/calls/{id}", { id }] });
}

/** Be told what happens, in batches. The listener must be stable (`useCallback`). */
export function useLive(listener: Listener): void {
  useEffect(() => live.listen(listener), [listener]);
}

/** How the stream is. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(live.watch, live.state);
}

/** Ask again for what begins with these keys when something happens to calls, at once and then at most every `ms`. */
export function useLiveRefresh(keys: readonly (readonly unknown[])[], ms: number): void {
  const cache = useQueryClient();
  useEffect(() => {
    let timer: Timer | undefined;
    let again = false;
    const refresh = () => {
      if (timer !== undefined) {
        again = true;
        return;
      }
      for (const queryKey of keys) void cache.invalidateQueries({ queryKey });
      timer = setTimeout(() => {
        timer = undefined;
        if (!again) return;
        again = false;
        refresh();
      }, ms);
    };
    const ignore = live.listen(refresh);
    return () => {
      clearTimeout(timer);
      ignore();
    };
  }, [cache, keys, ms]);
}
