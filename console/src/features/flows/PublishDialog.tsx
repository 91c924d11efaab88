import { Button, Group, Modal, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, read, type Shapes } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { useToast } from "../../ui/toasts";
import { changesBetween } from "./changes";
import classes from "./Flow.module.css";
import type { Flow } from "./flow";
import type { FlowRecord } from "./useDraft";

const WHAT = { added: "New", removed: "Removed", changed: "Changed", start: "Callers begin here" } as const;

interface PublishDialogProps {
  record: FlowRecord;
  flow: Flow;
  version: number | null;
  campaigns: Shapes["FlowStanding"]["campaigns"];
  opened: boolean;
  onClose: () => void;
}

/** Says what callers will hear otherwise, before they do. */
export function PublishDialog(props: PublishDialogProps) {
  const { record, version } = props;
  const cache = useQueryClient();
  const toast = useToast();
  const [note, setNote] = useState("");
  const before = useQuery({
    queryKey: ["/api/flows/{id}/versions/{version}", record.id, version],
    queryFn: async () =>
      version === null
        ? null
        : (await read("/api/flows/{id}/versions/{version}", { params: { path: { id: record.id, version: String(version) } } })).flow,
    enabled: props.opened,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const publish = useMutation({
    mutationFn: () =>
      act("post", "/api/flows/{id}/publish", {
        params: { path: { id: record.id } },
        headers: { "If-Match": `"${record.revision}"` },
        body: { note },
      }),
    onSuccess: (made) => {
      props.onClose();
      setNote("");
      toast({ text: `Version ${made.version} is published. New calls hear it; those in the air go on as they began.` });
      void cache.invalidateQueries({ queryKey: ["/api/flow-standings"] });
      void cache.invalidateQueries({ queryKey: ["/api/flows/{id}/versions"] });
    },
  });
  const changes = before.data === undefined ? undefined : changesBetween((before.data ?? undefined) as Flow | undefined, props.flow);
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={version === null ? "Publish this flow" : `Publish version ${version + 1}`} size="md">
      <Stack gap="sm">
        <Text size="sm">
          {props.campaigns.length === 0
            ? "No campaign uses this flow yet: nobody hears it until one names it."
            : `New calls of ${props.campaigns.map((one) => one.name).join(", ")} hear it at once.`}
        </Text>
        <ErrorNote error={before.error} retry={() => void before.refetch()} />
        {changes === undefined && before.error === null && <Skeleton height={60} />}
        {changes !== undefined && version !== null && (
          <ul className={classes.changes} aria-label="What changes">
            {changes.map((change) => (
              <li key={`${change.node} ${change.what}`}>
                <Text span size="sm" c="dimmed" w={72}>
                  {WHAT[change.what]}
                </Text>
                <b>{change.node}</b>
                <span>{change.parts.join(", ")}</span>
              </li>
            ))}
            {changes.length === 0 && <li>Nothing differs from what callers hear now.</li>}
          </ul>
        )}
        <TextInput label="Note" placeholder="Why, for the history" value={note} onChange={(event) => setNote(event.currentTarget.value)} />
        <ErrorNote error={publish.error} />
        <Group justify="flex-end" gap={8}>
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button loading={publish.isPending} onClick={() => publish.mutate()}>
            Publish
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
