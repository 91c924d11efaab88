import { createContext, lazy, type ReactNode, Suspense, useCallback, useContext, useState } from "react";

const ConfirmDialog = lazy(() => import("./ConfirmDialog"));

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
      {question !== undefined && (
        <Suspense fallback={null}>
          <ConfirmDialog question={question} opened={open} onDone={() => setOpen(false)} />
        </Suspense>
      )}
    </Asking.Provider>
  );
}
