import { useCallback, useState } from "react";

/** A preference of this browser; the fallback where it is not there, or storage is forbidden. */
export function kept<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`callmatrix-${name}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(`callmatrix-${name}`, JSON.stringify(value));
  } catch {
    // Then it lasts until the page is left.
  }
}

/** State that this browser keeps. */
export function useKept<T>(name: string, fallback: T): [T, (value: T) => void] {
  const [value, setValue] = useState(() => kept(name, fallback));
  const set = useCallback(
    (next: T) => {
      keep(name, next);
      setValue(next);
    },
    [name],
  );
  return [value, set];
}
