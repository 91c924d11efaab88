import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import type { Editing } from "./useDraft";

/** Another name for a flow; everything that names it goes on. */
export function RenameDialog(props: { editing: Editing; opened: boolean; onClose: () => void }) {
  const { record } = props.editing;
  const cache = useQueryClient();
  const [name, setName] = useState(record.document.name);
  const rename = useMutation({
    mutationFn: async () => {
      await props.editing.flush();
      return act("patch", "/api/flows/{id}", {
        params: { path: { id: record.id }, header: { "If-Match": `"${props.editing.current().revision}"` } },
        body: { name: name.trim() },
      });
    },
    onSuccess: (next) => {
      props.editing.named(next);
      void cache.invalidateQueries({ queryKey: ["/api/flows"] });
      props.onClose();
    },
  });
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Rename the flow" size="sm">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rename.mutate();
        }}
      >
        <Stack>
          <TextInput label="Name" data-autofocus value={name} error={fieldError(rename.error, "name")} onChange={(event) => setName(event.currentTarget.value)} />
          <ErrorNote error={rename.error} shown={["name"]} />
          <Group justify="flex-end">
            <Button type="submit" loading={rename.isPending}>
              Rename
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
