/** What was done, so that it can be undone: pure. */

export interface History<T> {
  past: readonly T[];
  present: T;
  future: readonly T[];
  /** What the last change was about, and when: changes of the same kind in quick succession are one step. */
  last: { about: string; at: number } | null;
}

export const MOST_STEPS = 200;
export const TOGETHER_MS = 900;

export function begun<T>(present: T): History<T> {
  return { past: [], present, future: [], last: null };
}

/** One change more. Changes `about` the same thing within `TOGETHER_MS` are undone together. */
export function done<T>(history: History<T>, next: T, about: string, at: number): History<T> {
  if (next === history.present) return history;
  const together = history.last !== null && about !== "" && history.last.about === about && at - history.last.at < TOGETHER_MS;
  return {
    past: together ? history.past : [...history.past, history.present].slice(-MOST_STEPS),
    present: next,
    future: [],
    last: { about, at },
  };
}

export function undone<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return { past: history.past.slice(0, -1), present: before, future: [history.present, ...history.future], last: null };
}

export function redone<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.present], present: after, future, last: null };
}
