import { Button, CloseButton } from "@mantine/core";
import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";
import { refusalOf } from "../api/problem";
import classes from "./toasts.module.css";

/** What was done, and how to take it back. */
export interface Toast {
  text: string;
  tone?: "good" | "bad";
  undo?: () => Promise<unknown>;
}

interface Shown extends Toast {
  key: number;
}

const LASTS_MS = 7_000;
const MOST = 3;
const Toasts = createContext<(toast: Toast) => void>(() => {});

/** Say that something was done: `toast({text: "Paused", undo: () => act("post", …)})`. */
export function useToast(): (toast: Toast) => void {
  return useContext(Toasts);
}

/** Shows the toasts of `useToast`. */
export function ToastProvider(props: { children: ReactNode }) {
  const [shown, setShown] = useState<readonly Shown[]>([]);
  const next = useRef(0);
  const remove = useCallback((key: number) => setShown((before) => before.filter((one) => one.key !== key)), []);
  const add = useCallback(
    (toast: Toast) => {
      const key = next.current++;
      setShown((before) => [...before, { ...toast, key }].slice(-MOST));
      setTimeout(() => remove(key), LASTS_MS);
    },
    [remove],
  );
  const undo = async (toast: Shown) => {
    remove(toast.key);
    try {
      await toast.undo?.();
    } catch (error) {
      add({ text: `That could not be undone: ${refusalOf(error).message}`, tone: "bad" });
    }
  };
  return (
    <Toasts.Provider value={add}>
      {props.children}
      <div className={classes.stack} role="status" aria-live="polite">
        {shown.map((toast) => (
          <div key={toast.key} className={classes.toast} data-tone={toast.tone ?? "good"}>
            <span>{toast.text}</span>
            {toast.undo !== undefined && (
              <Button size="compact-sm" variant="default" onClick={() => void undo(toast)}>
                Undo
              </Button>
            )}
            <CloseButton size="sm" aria-label="Dismiss" onClick={() => remove(toast.key)} />
          </div>
        ))}
      </div>
    </Toasts.Provider>
  );
}
