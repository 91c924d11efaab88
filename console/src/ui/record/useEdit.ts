import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { refusalOf } from "../../api/problem";
import { type Documents, type Noun, put, readAgain, recordOf, type RecordOf } from "../../api/records";
import { useToast } from "../toasts";
import { changedFields, type Difference, differences } from "./changes";

/** A document while it is edited. */
export interface Edit<N extends Noun> {
  noun: N;
  record: RecordOf<N>;
  draft: Documents[N];
  set: (change: Partial<Documents[N]>) => void;
  changed: readonly string[];
  discard: () => void;
  save: () => void;
  saving: boolean;
  error: unknown;
  /** What somebody else changed since this was read, where saving met that. */
  theirs: readonly Difference[] | undefined;
  /** Put mine on top of theirs. */
  keepMine: () => void;
}

/** Edit a record's document; what somebody else saves meanwhile is told when it is saved. */
export function useEdit<N extends Noun>(noun: N, record: RecordOf<N>): Edit<N> {
  const [base, setBase] = useState(record);
  const [draft, setDraft] = useState(record.document);
  const [met, setMet] = useState<RecordOf<N>>();
  const cache = useQueryClient();
  const toast = useToast();
  const changed = changedFields(base.document, draft);
  const untouched = changed.length === 0;
  useEffect(() => {
    if (record.revision === base.revision || !untouched) return;
    setBase(record);
    setDraft(record.document);
  }, [record, base, untouched]);
  const begin = (next: RecordOf<N>, document: Documents[N]) => {
    setBase(next);
    setDraft(document);
    setMet(undefined);
  };
  const save = useMutation({
    mutationFn: ({ revision, document }: { revision: number; document: Documents[N] }) => put(noun, record.id, revision, document),
    onSuccess: async (saved) => {
      const before = base.document;
      begin(saved, saved.document);
      toast({
        text: "Saved.",
        undo: async () => {
          await put(noun, record.id, saved.revision, before);
          await readAgain(cache, noun, "caps");
        },
      });
      await readAgain(cache, noun, "caps");
    },
    onError: async (error) => {
      if (refusalOf(error).code === "changed_meanwhile") setMet(await cache.fetchQuery({ ...recordOf(noun, record.id), staleTime: 0 }));
    },
  });
  return {
    noun,
    record: base,
    draft,
    set: (change) => setDraft((before) => ({ ...before, ...change })),
    changed,
    discard: () => {
      save.reset();
      begin(met ?? record, (met ?? record).document);
    },
    save: () => save.mutate({ revision: base.revision, document: draft }),
    saving: save.isPending,
    error: save.error,
    theirs: met === undefined ? undefined : differences(base.document, met.document),
    keepMine: () => {
      if (met === undefined) return;
      const mine = Object.fromEntries(changed.map((name) => [name, (draft as Record<string, unknown>)[name]]));
      const document = { ...met.document, ...mine };
      begin(met, document);
      save.mutate({ revision: met.revision, document });
    },
  };
}
