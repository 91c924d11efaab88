/** A caller's way through a flow in the simulator, step by step. Pure. */
import type { Shapes } from "../../api/client";
import { edgeName } from "./flow";

type Advance = Shapes["Advance"];

export interface Line {
  who: "flow" | "caller" | "engine";
  text: string;
}

/** What was heard and pressed so far, where the caller stands, and the path they took. */
export interface Trial {
  lines: readonly Line[];
  advance: Advance | undefined;
  /** Nodes and `node|exit`. */
  lit: ReadonlySet<string>;
  draw: number;
}

export function unbegun(draw: number): Trial {
  return { lines: [], advance: undefined, lit: new Set(), draw };
}

/** The trial after one answer of the engine. */
export function stepped(trial: Trial, pressed: string | undefined, advance: Advance): Trial {
  const lines: Line[] = [...trial.lines];
  if (pressed !== undefined) lines.push({ who: "caller", text: pressed });
  for (const one of advance.spoken) lines.push(spokenLine(one));
  const { onward } = advance;
  switch (onward.kind) {
    case "ask_caller":
      for (const one of onward.gather.prompts) lines.push(spokenLine(one));
      break;
    case "ask_service":
      lines.push({ who: "engine", text: `Asks ${onward.url}` });
      break;
    case "to_routing":
      lines.push({ who: "engine", text: "The routing plan takes over" });
      break;
    case "to_voicemail":
      lines.push(spokenLine(onward.prompt), { who: "engine", text: `Records a message of at most ${onward.max_s} s` });
      break;
    case "to_hangup":
      lines.push({ who: "engine", text: "The call ends" });
      break;
  }
  const lit = new Set(trial.lit);
  for (const visit of advance.visits) {
    lit.add(visit.node);
    lit.add(edgeName(visit.node, visit.exit));
  }
  return { ...trial, lines, advance, lit };
}

function spokenLine(one: Shapes["Say"] | Shapes["Play"]): Line {
  return { who: "flow", text: one.kind === "say" ? one.text : `♪ ${one.url.split("/").at(-1) ?? one.url}` };
}

/** Whether these keys are all that the flow waits for, so that they are sent without a finishing key. */
export function isWhole(advance: Advance | undefined, keys: string): boolean {
  return advance?.onward.kind === "ask_caller" && keys.length >= advance.onward.gather.max_digits;
}
