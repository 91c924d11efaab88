import type { components } from "./schema";

/** One thing to mend in what was sent. */
export type FieldProblem = components["schemas"]["Problem"];

/** A refusal of the server (problem+json), or that it could not be reached (`unreachable`, status 0). */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly problems: readonly FieldProblem[];

  constructor(told: { status: number; code: string; detail: string; problems?: readonly FieldProblem[] }) {
    super(told.detail);
    this.name = "Refused";
    this.status = told.status;
    this.code = told.code;
    this.problems = told.problems ?? [];
  }
}

export const UNREACHABLE = new Refused({
  status: 0,
  code: "unreachable",
  detail: "The server cannot be reached. What is shown may be out of date; try again in a moment.",
});

/** Whatever was thrown, as a refusal that a page can show. */
export function refusalOf(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof TypeError) return UNREACHABLE;
  return new Refused({ status: 0, code: "internal", detail: error instanceof Error ? error.message : String(error) });
}

/** The problems of one field, and of what is inside it (`terms` has those of `terms.price`). */
export function problemsAt(error: unknown, field: string): FieldProblem[] {
  return refusalOf(error).problems.filter(
    (one) => one.field === field || one.field.startsWith(`${field}.`) || one.field.startsWith(`${field}[`),
  );
}
