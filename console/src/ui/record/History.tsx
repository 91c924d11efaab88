import { Button, Skeleton } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, read } from "../../api/client";
import { type Noun, readAgain, recordOf, restore } from "../../api/records";
import { useMay } from "../../api/session";
import { ErrorNote } from "../ErrorNote";
import { words } from "../format";
import { Name } from "../Name";
import { Part } from "../Part";
import { useToast } from "../toasts";
import { Status, When } from "../Values";
import { differences, placeName, valueText } from "./changes";
import { DiffList } from "./DiffList";
import classes from "./Record.module.css";

/** What was changed, by whom, when and why; what it was before; and back to any of it. */
export function History({ noun, id }: { noun: Noun; id: string }) {
  const [open, setOpen] = useState<number>();
  const { data, error, refetch } = useQuery({
    queryKey: [`/api/${noun}/{id}/history`, id],
    queryFn: ({ signal }) =>
      read(`/api/${noun}/{id}/history` as "/api/buyers/{id}/history", { params: { path: { id }, query: { limit: 100 } }, signal }),
  });
  const newest = data?.items[0]?.revision;
  return (
    <Part title="History" note="newest first" flush>
      {error !== null && <ErrorNote error={error} retry={() => void refetch()} />}
      {data === undefined && error === null && <Skeleton height={80} m={16} width="auto" />}
      <ol className={classes.list}>
        {data?.items.map((one) => (
          <li key={one.revision}>
            <div className={classes.line}>
              <span>
                <b>{words(one.what)}</b>{`, revision ${one.revision}, by `}
                <Name id={one.changed_by} />
                {one.note !== "" && <span className={classes.sub}>{` “${one.note}”`}</span>}
              </span>
              <span>
                <When at={one.changed_at} />{" "}
                <Button
                  size="compact-xs"
                  variant="default"
                  aria-expanded={open === one.revision}
                  onClick={() => setOpen(open === one.revision ? undefined : one.revision)}
                >
                  {open === one.revision ? "Hide" : "What changed"}
                </Button>
              </span>
            </div>
            {open === one.revision && <Change noun={noun} id={id} revision={one.revision} isNewest={one.revision === newest} />}
          </li>
        ))}
      </ol>
    </Part>
  );
}

function Change({ noun, id, revision, isNewest }: { noun: Noun; id: string; revision: number; isNewest: boolean }) {
  const mayChange = useMay("change");
  const cache = useQueryClient();
  const toast = useToast();
  const now = useQuery(revisionOf(noun, id, revision));
  const before = useQuery({ ...revisionOf(noun, id, revision - 1), enabled: revision > 1 });
  const back = useMutation({
    mutationFn: async () => {
      const current = await cache.fetchQuery({ ...recordOf(noun, id), staleTime: 0 });
      await restore(noun, id, revision);
      return current.revision;
    },
    onSuccess: async (current) => {
      toast({
        text: `It is as it was at revision ${revision}.`,
        undo: async () => {
          await restore(noun, id, current);
          await readAgain(cache, noun);
        },
      });
      await readAgain(cache, noun);
    },
  });
  if (now.data === undefined || (revision > 1 && before.data === undefined))
    return now.error !== null ? <ErrorNote error={now.error} /> : <Skeleton height={40} mt={10} />;
  const changes = revision === 1 ? [] : differences(before.data?.document, now.data.document);
  return (
    <div style={{ marginTop: 10 }}>
      {changes.length === 0 ? <span className={classes.sub}>{revision === 1 ? "This is how it began." : "Nothing in the document."}</span> : <DiffList changes={changes} />}
      <ErrorNote error={back.error} />
      {mayChange && !isNewest && (
        <Button mt="sm" size="xs" variant="default" loading={back.isPending} onClick={() => back.mutate()}>
          {`Back to revision ${revision}`}
        </Button>
      )}
    </div>
  );
}

function revisionOf(noun: Noun, id: string, revision: number) {
  return question(`/api/${noun}/{id}/history/{revision}` as "/api/buyers/{id}/history/{revision}", {
    params: { path: { id, revision: String(revision) as never } },
  });
}

/** Changes that start at an instant to come, and those that did. */
export function Scheduled<N extends Noun>({ noun, id }: { noun: N; id: string }) {
  const mayChange = useMay("change");
  const cache = useQueryClient();
  const current = useQuery(recordOf(noun, id));
  const { data, error, refetch } = useQuery({
    queryKey: [`/api/${noun}/{id}/scheduled`, id],
    queryFn: ({ signal }) =>
      read(`/api/${noun}/{id}/scheduled` as "/api/buyers/{id}/scheduled", { params: { path: { id }, query: { past: true } }, signal }),
  });
  const off = useMutation({
    mutationFn: (change: string) => act("delete", "/api/scheduled/{id}", { params: { path: { id: change } } }),
    onSuccess: () => readAgain(cache, noun),
  });
  return (
    <Part title="Scheduled changes" flush>
      {error !== null && <ErrorNote error={error} retry={() => void refetch()} />}
      <ErrorNote error={off.error} />
      {data?.items.length === 0 && (
        <p className={classes.sub} style={{ padding: "0 16px" }}>
          Nothing is planned. Change any field and choose “Save later…” to let it start at a time to come.
        </p>
      )}
      <ul className={classes.list}>
        {data?.items.map((one) => (
          <li key={one.id}>
            <div className={classes.line}>
              <span>
                <Status tone={one.state === "waiting" ? "info" : one.state === "failed" ? "bad" : "rest"}>{one.state}</Status>{" "}
                <When at={one.starts_at} /> {one.note}
              </span>
              {mayChange && one.state === "waiting" && (
                <Button size="compact-xs" variant="default" loading={off.isPending} onClick={() => off.mutate(one.id)}>
                  Call it off
                </Button>
              )}
            </div>
            {one.reason !== "" && <div className={classes.sub}>{one.reason}</div>}
            {current.data !== undefined && (
              <div className={classes.sub}>
                {differences(current.data.document, one.document)
                  .map((change) => `${placeName(change.field)}: ${valueText(change.after)}`)
                  .join("; ")}
              </div>
            )}
          </li>
        ))}
      </ul>
    </Part>
  );
}
