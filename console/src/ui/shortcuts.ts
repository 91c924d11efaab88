import { useEffect, useSyncExternalStore } from "react";

/** Something that can be done from the keyboard and from the command palette. */
export interface Command {
  /** `g c` (one key after the other) or `?`; none for what is in the palette only. */
  keys?: string;
  label: string;
  group: string;
  /** More words by which the palette finds it. */
  words?: string;
  run: () => void;
}

const SEQUENCE_MS = 1_200;
const known = new Map<symbol, readonly Command[]>();
const watchers = new Set<() => void>();
let all: readonly Command[] = [];
let pressed = "";
let pressedAt = 0;

/** Offer commands while the component is there. They must be stable (`useMemo`). */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => {
    const mine = Symbol("commands");
    known.set(mine, commands);
    tell();
    return () => {
      known.delete(mine);
      tell();
    };
  }, [commands]);
}

/** All that can be done now. */
export function useAllCommands(): readonly Command[] {
  return useSyncExternalStore(watch, () => all);
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function tell(): void {
  all = [...known.values()].flat();
  for (const watcher of watchers) watcher();
}

/** Listen to the keyboard for as long as the component is there. */
export function useKeyboard(): void {
  useEffect(() => {
    const pressedDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isWriting(event.target)) return;
      const sequence = event.timeStamp - pressedAt < SEQUENCE_MS ? `${pressed} ${event.key}` : event.key;
      const found = commandFor(all, sequence) ?? commandFor(all, event.key);
      pressed = found === undefined ? event.key : "";
      pressedAt = event.timeStamp;
      if (found === undefined) return;
      event.preventDefault();
      found.run();
    };
    document.addEventListener("keydown", pressedDown);
    return () => document.removeEventListener("keydown", pressedDown);
  }, []);
}

/** The command of a sequence of keys. */
export function commandFor(commands: readonly Command[], keys: string): Command | undefined {
  return commands.find((one) => one.keys === keys.trim());
}

/** Commands that have every word of what is looked for, in their order. */
export function found(commands: readonly Command[], wanted: string): readonly Command[] {
  const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return commands.filter((one) => {
    const told = `${one.label} ${one.group} ${one.words ?? ""}`.toLowerCase();
    return parts.every((part) => told.includes(part));
  });
}

function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=menu], [role=listbox]") !== null;
}
