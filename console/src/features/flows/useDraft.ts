import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { act, keyOf, read, type Shapes } from "../../api/client";
import { refusalOf, type Refused } from "../../api/problem";
import type { Draft } from "./flow";
import { begun, done, type History, redone, undone } from "./history";
import { placed } from "./layout";

export type FlowRecord = Shapes["FlowBodyRecord"];
export type DraftProblem = Shapes["DraftProblem"];
/** How what is on the canvas compares with what the server has. */
export type Standing = "saved" | "waiting" | "saving" | "unsaveable" | "conflict" | "failed" | "unread";

const QUIET_MS = 500;
const AGAIN_MS = 4_000;

/** A flow being edited: undone and redone, checked by the server and saved by itself. */
export interface Editing {
  record: FlowRecord;
  draft: Draft;
  edit: (change: (draft: Draft) => Draft, about?: string) => void;
  undo: (() => void) | undefined;
  redo: (() => void) | undefined;
  problems: readonly DraftProblem[];
  /** Whether the problems are those of what is on the canvas. */
  checked: boolean;
  standing: Standing;
  error: Refused | undefined;
  /** Save now; whether the server has what is on the canvas. */
  flush: () => Promise<boolean>;
  /** Go on with what the server has; it can be undone. */
  take: (record: FlowRecord) => void;
  /** The server's record changed, and what is on the canvas did not. */
  adopt: (record: FlowRecord) => void;
  /** The record as the server has it now, as far as is known. */
  current: () => FlowRecord;
  /** The record under another name. */
  named: (record: FlowRecord) => void;
  /** After a conflict: what the server has. */
  theirs: () => Promise<FlowRecord>;
  /** After a conflict: put ours in place of theirs. */
  insist: () => Promise<void>;
}

function draftOf(record: FlowRecord): Draft {
  const { draft, layout } = record.document;
  return { flow: draft, layout: placed(draft, layout) };
}

export function useDraft(first: FlowRecord, mayChange: boolean): Editing {
  const cache = useQueryClient();
  const [history, setHistory] = useState<History<Draft>>(() => begun(draftOf(first)));
  const [record, setRecord] = useState(first);
  const [problems, setProblems] = useState<readonly DraftProblem[]>([]);
  const [standing, setStanding] = useState<Standing>("unread");
  const [checkedDraft, setCheckedDraft] = useState<Draft>();
  const [error, setError] = useState<Refused>();
  // What the loop below sees, whenever it looks.
  const now = useRef({ draft: history.present, record: first, saved: history.present as Draft, stopped: false });
  now.current.draft = history.present;
  const running = useRef<Promise<boolean> | undefined>(undefined);

  const remember = useCallback(
    (next: FlowRecord) => {
      now.current.record = next;
      setRecord(next);
      cache.setQueryData(keyOf("/api/flows/{id}", { params: { path: { id: next.id } } }), next);
      void cache.invalidateQueries({ queryKey: ["/api/flow-standings"] });
    },
    [cache],
  );

  /** Check what is on the canvas and save it, until nothing is left to save. */
  const settle = useCallback(async (): Promise<boolean> => {
    for (;;) {
      const { draft, saved } = now.current;
      const told = await act("post", "/api/flow-checks", { body: draft.flow });
      setProblems(told.problems);
      setCheckedDraft(draft);
      if (!mayChange || draft === saved) {
        setStanding("saved");
        return true;
      }
      if (!told.saveable) {
        setStanding("unsaveable");
        return false;
      }
      setStanding("saving");
      const { record: before } = now.current;
      const next = await act("put", "/api/flows/{id}", {
        params: { path: { id: before.id }, header: { "If-Match": `"${before.revision}"` } },
        body: { name: before.document.name, status: before.document.status, draft: draft.flow, layout: { ...draft.layout } },
      });
      now.current.saved = draft;
      remember(next);
      setError(undefined);
      if (now.current.draft === draft) {
        setStanding("saved");
        return true;
      }
    }
  }, [mayChange, remember]);

  const flush = useCallback(async (): Promise<boolean> => {
    running.current ??= settle()
      .catch((thrown: unknown) => {
        const refused = refusalOf(thrown);
        setError(refused);
        now.current.stopped = refused.code === "changed_meanwhile";
        setStanding(now.current.stopped ? "conflict" : "failed");
        return false;
      })
      .finally(() => {
        running.current = undefined;
      });
    const fine = await running.current;
    return fine && (now.current.draft === now.current.saved || !mayChange);
  }, [settle, mayChange]);

  useEffect(() => {
    if (now.current.stopped || checkedDraft === history.present) return;
    if (history.present !== now.current.saved) setStanding((before) => (before === "saving" ? before : "waiting"));
    const timer = setTimeout(() => void flush(), standing === "failed" ? AGAIN_MS : checkedDraft === undefined ? 0 : QUIET_MS);
    return () => clearTimeout(timer);
  }, [history.present, checkedDraft, flush, standing]);

  useEffect(() => {
    const leaving = (event: BeforeUnloadEvent) => {
      if (mayChange && now.current.draft !== now.current.saved) event.preventDefault();
    };
    window.addEventListener("beforeunload", leaving);
    return () => {
      window.removeEventListener("beforeunload", leaving);
      if (mayChange && now.current.draft !== now.current.saved && !now.current.stopped) void flush();
    };
  }, [flush, mayChange]);

  const edit = useCallback(
    (change: (draft: Draft) => Draft, about = "") => {
      if (mayChange) setHistory((before) => done(before, change(before.present), about, performance.now()));
    },
    [mayChange],
  );
  const take = useCallback(
    (next: FlowRecord) => {
      const theirs = draftOf(next);
      now.current.saved = theirs;
      now.current.stopped = false;
      setError(undefined);
      remember(next);
      setHistory((before) => done(before, theirs, "", performance.now()));
    },
    [remember],
  );
  const adopt = useCallback(
    (next: FlowRecord) => {
      if (next.revision > now.current.record.revision && now.current.draft === now.current.saved) take(next);
    },
    [take],
  );
  const current = useCallback(() => now.current.record, []);
  const theirs = useCallback(() => read("/api/flows/{id}", { params: { path: { id: now.current.record.id } } }), []);
  const insist = useCallback(async () => {
    const found = await theirs();
    now.current.record = found;
    now.current.stopped = false;
    setRecord(found);
    await flush();
  }, [flush, theirs]);

  return useMemo(
    () => ({
      record,
      draft: history.present,
      edit,
      undo: history.past.length === 0 || !mayChange ? undefined : () => setHistory(undone),
      redo: history.future.length === 0 || !mayChange ? undefined : () => setHistory(redone),
      problems,
      checked: checkedDraft === history.present,
      standing,
      error,
      flush,
      take,
      adopt,
      current,
      named: remember,
      theirs,
      insist,
    }),
    [record, history, edit, problems, checkedDraft, standing, error, flush, take, adopt, current, remember, theirs, insist, mayChange],
  );
}
