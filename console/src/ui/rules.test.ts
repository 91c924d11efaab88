import { describe, expect, it } from "vitest";
import { aboutSubject, at, freshLeaf, type Leaf, OPERATORS, type Rule, sentence, SUBJECTS, withMore, withOperator, withPart } from "./rules";

const STATE: Leaf = { kind: "leaf", subject: "caller_state", operator: "in", values: ["CA", "NV"] };
const ZIP: Leaf = { kind: "leaf", subject: "zip", operator: "starts_with", values: ["94"] };
const AGE: Leaf = { kind: "leaf", subject: "field", name: "is_65", operator: "equal", values: ["yes"] };
const NIGHT: Leaf = { kind: "leaf", subject: "time_of_day", operator: "between", values: ["22:00", "06:00"], time_zone: "UTC" };

describe("a rule in words", () => {
  it("says what holds", () => {
    expect(sentence(null)).toBe("Every call");
    expect(sentence(STATE)).toBe("The caller's state is CA or NV");
    expect(sentence({ kind: "all", rules: [STATE, { kind: "any", rules: [ZIP, AGE] }] })).toBe(
      "The caller's state is CA or NV, and (the ZIP starts with 94, or is 65 is yes)",
    );
    expect(sentence({ kind: "none", rules: [NIGHT] })).toBe("Not (the time of day is from 22:00 until 06:00)");
    expect(sentence({ kind: "any", rules: [] })).toBe("No call");
    expect(sentence({ ...STATE, values: ["AZ", "CA", "GA", "IL", "NC", "OH"] })).toBe("The caller's state is AZ, CA, GA, IL or 2 more");
    expect(sentence({ ...STATE, values: [] })).toBe("The caller's state is one of …");
    expect(sentence({ kind: "leaf", subject: "zip", operator: "present" })).toBe("The ZIP is known");
  });
});

describe("editing a rule", () => {
  const rule: Rule = { kind: "all", rules: [STATE, { kind: "any", rules: [ZIP, AGE] }] };
  it("changes and takes away the part at a path", () => {
    expect(at(rule, [1, 0])).toEqual(ZIP);
    expect(at(withPart(rule, [1, 0], NIGHT) ?? rule, [1, 0])).toEqual(NIGHT);
    expect(withPart(rule, [0], null)).toEqual({ kind: "all", rules: [{ kind: "any", rules: [ZIP, AGE] }] });
    expect(withPart(rule, [], null)).toBeNull();
  });
  it("adds to a group, and makes one of a condition and another", () => {
    expect(withMore(null, [], STATE)).toEqual(STATE);
    expect(withMore(STATE, [], ZIP)).toEqual({ kind: "all", rules: [STATE, ZIP] });
    expect(at(withMore(rule, [1], NIGHT), [1, 2])).toEqual(NIGHT);
  });
  it("keeps of a condition what the other subject and operator take", () => {
    expect(aboutSubject(STATE, "time_of_day", "America/Chicago")).toEqual({
      kind: "leaf",
      subject: "time_of_day",
      operator: "between",
      values: ["", ""],
      time_zone: "America/Chicago",
    });
    expect(withOperator(STATE, "equal").values).toEqual(["CA"]);
    expect(withOperator(STATE, "present").values).toEqual([]);
    for (const words of Object.values(SUBJECTS))
      for (const operator of words.operators) expect(OPERATORS[operator].label).not.toBe("");
    expect(freshLeaf().values).toEqual([]);
  });
});
