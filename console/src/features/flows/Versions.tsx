import { Button, Skeleton, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { act, question } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { Name } from "../../ui/Name";
import { useToast } from "../../ui/toasts";
import { When } from "../../ui/Values";
import classes from "./Flow.module.css";
import type { FlowRecord } from "./useDraft";

interface VersionsProps {
  id: string;
  flush: () => Promise<boolean>;
  revision: () => number;
  onRestored: (record: FlowRecord) => void;
  undo: () => void;
  mayChange: boolean;
}

/** What was published, newest first; any of it can be the draft again. */
export function Versions(props: VersionsProps) {
  const toast = useToast();
  const { data, error, refetch } = useQuery(question("/api/flows/{id}/versions", { params: { path: { id: props.id } } }));
  const restore = useMutation({
    mutationFn: async (version: number) => {
      await props.flush();
      return act("post", "/api/flows/{id}/versions/{version}/restore", {
        params: { path: { id: props.id, version: String(version) } },
        headers: { "If-Match": `"${props.revision()}"` },
        body: { note: `Version ${version} again` },
      });
    },
    onSuccess: (record, version) => {
      props.onRestored(record);
      toast({
        text: `Version ${version} is the draft again. Callers hear it once it is published.`,
        undo: () => {
          props.undo();
          return Promise.resolve();
        },
      });
    },
  });
  if (data === undefined)
    return error === null ? <Skeleton height={80} aria-label="Reading the versions" /> : <ErrorNote error={error} retry={() => void refetch()} />;
  return (
    <>
      <ErrorNote error={restore.error} />
      {data.items.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing was published yet. Callers hear a flow once it is published and a campaign names it.
        </Text>
      )}
      <ul className={classes.versions}>
        {data.items.map((one, place) => (
          <li key={one.version}>
            <div>
              <Text size="sm" fw={600}>
                {`Version ${one.version}`}
                {place === 0 && (
                  <Text span size="xs" c="var(--cm-good)" ml={8}>
                    Callers hear this
                  </Text>
                )}
              </Text>
              <Text size="xs" c="dimmed">
                <When at={one.published_at} /> by <Name id={one.published_by} />
              </Text>
              {one.note !== "" && <Text size="sm">{one.note}</Text>}
            </div>
            {props.mayChange && (
              <Button size="compact-xs" variant="default" loading={restore.isPending && restore.variables === one.version} onClick={() => restore.mutate(one.version)}>
                Restore
              </Button>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}
