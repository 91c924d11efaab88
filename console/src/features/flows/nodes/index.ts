import type { Kind } from "../flow";
import { branch } from "./branch";
import { collect } from "./collect";
import { hangup } from "./hangup";
import { hours } from "./hours";
import type { NodeKind } from "./kind";
import { lookup } from "./lookup";
import { menu } from "./menu";
import { play } from "./play";
import { route } from "./route";
import { say } from "./say";
import { set } from "./set";
import { split } from "./split";
import { voicemail } from "./voicemail";

/** Every kind of node that the server knows; one that is missing here fails the type check. */
export const KINDS: { [K in Kind]: NodeKind<K> } = {
  say,
  play,
  menu,
  collect,
  branch,
  hours,
  set,
  lookup,
  split,
  voicemail,
  route,
  hangup,
};

/** A kind as one that takes any node; what it is given is always of its own kind. */
export function kindOf(kind: Kind): NodeKind<Kind> {
  return KINDS[kind] as unknown as NodeKind<Kind>;
}
