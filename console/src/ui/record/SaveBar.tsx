import { Alert, Button, Group, Popover, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Noun, readAgain, schedule } from "../../api/records";
import { useAccount, useMay } from "../../api/session";
import { ErrorNote, fieldError } from "../ErrorNote";
import { useToast } from "../toasts";
import { mergePatch } from "./changes";
import { DiffList } from "./DiffList";
import classes from "./Record.module.css";
import type { Edit } from "./useEdit";
import { instantIn } from "./zoned";

/** What is not saved yet, and saving it, now or later. `shown` are fields that show their own problems. */
export function SaveBar<N extends Noun>({ edit, shown }: { edit: Edit<N>; shown?: readonly string[] }) {
  const mayChange = useMay("change");
  if (!mayChange || (edit.changed.length === 0 && !edit.error)) return null;
  const conflict = edit.theirs !== undefined;
  return (
    <section className={classes.saveBar} aria-label="Not saved">
      {conflict ? (
        <Alert color="yellow" variant="outline" title="Somebody else changed this meanwhile" styles={{ title: { color: "var(--cm-warn)" } }}>
          <DiffList changes={edit.theirs ?? []} />
        </Alert>
      ) : (
        <ErrorNote error={edit.error} {...(shown === undefined ? {} : { shown })} />
      )}
      <div className={classes.saveLine}>
        <span>
          {edit.changed.length === 0 ? "Nothing is changed." : `Not saved: ${edit.changed.map((name) => name.replaceAll("_", " ")).join(", ")}`}
        </span>
        <Group gap="xs">
          <Button variant="default" onClick={edit.discard}>
            {conflict ? "Take theirs" : "Discard"}
          </Button>
          {!conflict && edit.changed.length > 0 && <Later edit={edit} />}
          {conflict ? (
            <Button onClick={edit.keepMine} loading={edit.saving}>
              Save mine on top of theirs
            </Button>
          ) : (
            <Button onClick={edit.save} loading={edit.saving} disabled={edit.changed.length === 0}>
              Save
            </Button>
          )}
        </Group>
      </div>
    </section>
  );
}

/** Lets what was changed start at an instant to come. */
function Later<N extends Noun>({ edit }: { edit: Edit<N> }) {
  const { timeZone } = useAccount();
  const [at, setAt] = useState("");
  const [opened, setOpened] = useState(false);
  const cache = useQueryClient();
  const toast = useToast();
  const plan = useMutation({
    mutationFn: () =>
      schedule(edit.noun, edit.record.id, instantIn(at, timeZone), mergePatch(edit.record.document, edit.draft)),
    onSuccess: async () => {
      setOpened(false);
      edit.discard();
      toast({ text: "Planned. It is under scheduled changes, where it can be called off." });
      await readAgain(cache, edit.noun);
    },
  });
  return (
    <Popover opened={opened} onChange={setOpened} position="top-end" shadow="md" trapFocus withRoles={false}>
      <Popover.Target>
        <Button variant="default" onClick={() => setOpened(!opened)} aria-expanded={opened}>
          Save later…
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="sm" w={260}>
          <TextInput
            type="datetime-local"
            label={`Starts at (${timeZone.replaceAll("_", " ")})`}
            value={at}
            onChange={(event) => setAt(event.currentTarget.value)}
            error={fieldError(plan.error, "starts_at")}
          />
          <ErrorNote error={plan.error} shown={["starts_at"]} />
          <Button onClick={() => plan.mutate()} loading={plan.isPending} disabled={at === ""}>
            Plan it
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
