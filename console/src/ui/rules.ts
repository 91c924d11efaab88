/** Rules as people build and read them: their vocabulary, edits by path, and a sentence. Pure. */
import type { Shapes } from "../api/client";
import { phone } from "./format";

export type Leaf = Shapes["LeafInput"];
export type Group = Shapes["AllOfInput"] | Shapes["AnyOfInput"] | Shapes["NoneOfInput"];
export type Rule = Leaf | Group;
export type Subject = Leaf["subject"];
export type Operator = Leaf["operator"];
/** Positions from the whole rule to a part of it. */
export type Path = readonly number[];

interface SubjectWords {
  label: string;
  operators: readonly Operator[];
  /** It is one of several of its kind and needs a name. */
  named?: boolean;
  /** It is told in a time zone. */
  timed?: boolean;
  example: string;
}

export const SUBJECTS: Record<Subject, SubjectWords> = {
  caller_state: { label: "Caller's state", operators: ["in", "equal", "present"], example: "CA" },
  zip: { label: "ZIP", operators: ["in", "starts_with", "between", "equal", "present"], example: "94105" },
  area_code: { label: "Area code", operators: ["in", "starts_with", "equal", "present"], example: "415" },
  caller_number: { label: "Caller's number", operators: ["starts_with", "in", "equal", "matches", "present"], example: "+1415" },
  dialed_number: { label: "Dialed number", operators: ["in", "equal", "starts_with", "matches"], example: "+18885550101" },
  publisher: { label: "Publisher", operators: ["in", "equal", "present"], example: "pub_…" },
  day_of_week: { label: "Day of the week", operators: ["in", "equal"], timed: true, example: "monday" },
  time_of_day: { label: "Time of day", operators: ["between", "less", "greater"], timed: true, example: "09:00" },
  field: {
    label: "Captured field",
    operators: ["equal", "in", "starts_with", "matches", "less", "greater", "between", "present"],
    named: true,
    example: "yes",
  },
  tag: {
    label: "Tag",
    operators: ["equal", "in", "starts_with", "matches", "less", "greater", "between", "present"],
    named: true,
    example: "summer",
  },
  attestation: { label: "Attestation", operators: ["in", "equal", "present"], example: "A" },
};

export const OPERATORS: Record<Operator, { label: string; values: "one" | "two" | "many" | "none" }> = {
  equal: { label: "is", values: "one" },
  in: { label: "is one of", values: "many" },
  starts_with: { label: "starts with", values: "many" },
  matches: { label: "matches the pattern", values: "one" },
  less: { label: "is less than", values: "one" },
  greater: { label: "is more than", values: "one" },
  between: { label: "is between", values: "two" },
  present: { label: "is known", values: "none" },
};

export const GROUPS: Record<Group["kind"], string> = { all: "All of these", any: "Any of these", none: "None of these" };
const MOST_TOLD = 4;

/** A condition to begin with. */
export function freshLeaf(): Leaf {
  return { kind: "leaf", subject: "caller_state", operator: "in", values: [] };
}

/** A leaf about another subject: what does not fit it is left out. */
export function aboutSubject(leaf: Leaf, subject: Subject, timeZone: string): Leaf {
  const words = SUBJECTS[subject];
  const operator = words.operators.includes(leaf.operator) ? leaf.operator : (words.operators[0] ?? "equal");
  return {
    kind: "leaf",
    subject,
    operator,
    values: OPERATORS[operator].values === "two" ? ["", ""] : [],
    ...(words.named === true ? { name: leaf.name ?? "" } : {}),
    ...(words.timed === true ? { time_zone: leaf.time_zone ?? timeZone } : {}),
  };
}

/** A leaf with another operator, with as many of its values as that takes. */
export function withOperator(leaf: Leaf, operator: Operator): Leaf {
  const values = leaf.values ?? [];
  switch (OPERATORS[operator].values) {
    case "none":
      return { ...leaf, operator, values: [] };
    case "one":
      return { ...leaf, operator, values: values.slice(0, 1) };
    case "two":
      return { ...leaf, operator, values: [values[0] ?? "", values[1] ?? ""] };
    case "many":
      return { ...leaf, operator, values: values.filter((value) => value !== "") };
  }
}

/** The part of a rule at a path; undefined where there is none. */
export function at(rule: Rule, path: Path): Rule | undefined {
  return path.reduce<Rule | undefined>((here, place) => (here === undefined || here.kind === "leaf" ? undefined : here.rules[place]), rule);
}

/** The rule with another part at a path; null takes it away. */
export function withPart(rule: Rule, path: Path, part: Rule | null): Rule | null {
  const [place, ...rest] = path;
  if (place === undefined) return part;
  if (rule.kind === "leaf") return rule;
  const rules = rule.rules.flatMap((each, index) => {
    if (index !== place) return [each];
    const changed = withPart(each, rest, part);
    return changed === null ? [] : [changed];
  });
  return { ...rule, rules };
}

/** The rule with one more condition in the group at a path; a leaf there becomes a group of both. */
export function withMore(rule: Rule | null, path: Path, part: Rule): Rule {
  if (rule === null) return part;
  const here = at(rule, path);
  if (here === undefined) return rule;
  const grown: Rule = here.kind === "leaf" ? { kind: "all", rules: [here, part] } : { ...here, rules: [...here.rules, part] };
  return withPart(rule, path, grown) ?? grown;
}

/** A rule as a sentence without its end: `the caller's state is CA or NV, and the ZIP starts with 94`. */
export function sentence(rule: Rule | null): string {
  if (rule === null) return "Every call";
  const told = tell(rule, true);
  return told.charAt(0).toUpperCase() + told.slice(1);
}

function tell(rule: Rule, outside: boolean): string {
  if (rule.kind === "leaf") return leafTold(rule);
  if (rule.rules.length === 0) return rule.kind === "any" ? "no call" : "every call";
  const parts = rule.rules.map((each) => tell(each, false));
  const joined = parts.join(rule.kind === "all" ? ", and " : ", or ");
  if (rule.kind === "none") return `not (${joined})`;
  return outside || parts.length === 1 ? joined : `(${joined})`;
}

function leafTold(leaf: Leaf): string {
  const operator = OPERATORS[leaf.operator];
  const values = (leaf.values ?? []).filter((value) => value !== "").map((value) => (leaf.subject === "caller_number" ? phone(value) : value));
  const subject = subjectTold(leaf);
  if (operator.values === "none") return `${subject} is known`;
  if (values.length === 0) return `${subject} ${operator.label} …`;
  if (leaf.subject === "time_of_day") return `${subject} is ${timeTold(leaf.operator, values)}`;
  if (leaf.operator === "between") return `${subject} is from ${values[0] ?? "…"} to ${values[1] ?? "…"}`;
  const some = values.slice(0, MOST_TOLD);
  const more = values.length > some.length ? ` or ${values.length - some.length} more` : "";
  const list = more === "" && some.length > 1 ? `${some.slice(0, -1).join(", ")} or ${some.at(-1)}` : some.join(", ");
  return `${subject} ${operator.label === "is one of" ? "is" : operator.label} ${list}${more}`;
}

function subjectTold(leaf: Leaf): string {
  if (leaf.subject === "field") return leaf.name == null || leaf.name === "" ? "a captured field" : leaf.name.replaceAll("_", " ");
  if (leaf.subject === "tag") return `the tag ${leaf.name == null || leaf.name === "" ? "…" : leaf.name}`;
  return `the ${SUBJECTS[leaf.subject].label.replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase())}`;
}

function timeTold(operator: Operator, values: readonly string[]): string {
  if (operator === "less") return `before ${values[0]}`;
  if (operator === "greater") return `after ${values[0]}`;
  return `from ${values[0]} until ${values[1] ?? "…"}`;
}
