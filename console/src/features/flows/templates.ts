import type { Flow } from "./flow";
import auto from "./templates/auto.json";
import legal from "./templates/legal.json";
import medicare from "./templates/medicare.json";
import plumbing from "./templates/plumbing.json";

/** A flow to begin with. */
export interface Template {
  key: string;
  name: string;
  about: string;
  flow: Flow;
}

const EMPTY: Flow = {
  start: "greeting",
  nodes: { greeting: { kind: "say", text: "Thank you for calling.", next: "buyers" }, buyers: { kind: "route" } },
};

export const TEMPLATES: readonly Template[] = [
  { key: "empty", name: "From nothing", about: "A greeting, then the buyers", flow: EMPTY },
  { key: "plumbing", name: "Plumbing", about: "The kind of work and the ZIP", flow: plumbing as unknown as Flow },
  { key: "medicare", name: "Medicare", about: "Sixty-five or older, enrolled or not, the ZIP", flow: medicare as unknown as Flow },
  { key: "auto", name: "Auto insurance", about: "Insured or not, the ZIP; two greetings are compared", flow: auto as unknown as Flow },
  { key: "legal", name: "Legal", about: "Injured or not, how long ago; day and night", flow: legal as unknown as Flow },
];
