import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { createContext, type ReactNode, useCallback, useContext, useState } from "react";
import { ErrorNote } from "./ErrorNote";

/** What is asked before something that can't be undone. */
export interface Question {
  title: string;
  body: ReactNode;
  /** What the button does: "Archive", never "OK". */
  act: string;
  danger?: boolean;
  /** A word to type first, for what stops the whole network. */
  typed?: string;
  /** What is done; the dialog shows that it is under way, and why it did not work. */
  run: () => Promise<unknown>;
}

const Asking = createContext<(question: Question) => void>(() => {});

/** Ask before something that can't be undone: `ask({title, body, act: "Archive", danger: true, run})`. */
export function useAsk(): (question: Question) => void {
  return useContext(Asking);
}

/** Shows the questions of `useAsk`. */
export function AskingProvider(props: { children: ReactNode }) {
  const [question, setQuestion] = useState<Question>();
  const [open, setOpen] = useState(false);
  const ask = useCallback((next: Question) => {
    setQuestion(next);
    setOpen(true);
  }, []);
  return (
    <Asking.Provider value={ask}>
      {props.children}
      <Modal opened={open} onClose={() => setOpen(false)} title={question?.title} closeButtonProps={{ "aria-label": "Close" }}>
        {question !== undefined && <ConfirmDialog question={question} onDone={() => setOpen(false)} />}
      </Modal>
    </Asking.Provider>
  );
}

function ConfirmDialog({ question, onDone }: { question: Question; onDone: () => void }) {
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
