import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Question } from "./asking";
import { ErrorNote } from "./ErrorNote";

/** One question of `useAsk`; read when the first is asked. */
export default function ConfirmDialog(props: { question: Question; opened: boolean; onDone: () => void }) {
  return (
    <Modal opened={props.opened} onClose={props.onDone} title={props.question.title} closeButtonProps={{ "aria-label": "Close" }}>
      <Form question={props.question} onDone={props.onDone} />
    </Modal>
  );
}

function Form({ question, onDone }: { question: Question; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await question.run();
      onDone();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  const ready = question.typed === undefined || typed.trim().toLowerCase() === question.typed.toLowerCase();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) void run();
      }}
    >
      <Stack gap="md">
        <Text size="sm" component="div">
          {question.body}
        </Text>
        {question.typed !== undefined && (
          <TextInput
            label={`Type “${question.typed}” to go on`}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus
          />
        )}
        <ErrorNote error={error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" color={question.danger === true ? "red" : undefined} loading={busy} disabled={!ready} data-autofocus>
            {question.act}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
