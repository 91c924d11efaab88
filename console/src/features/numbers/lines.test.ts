import { describe, expect, it } from "vitest";
import { e164, pastedLines } from "./lines";

describe("pasted numbers", () => {
  it("are read in any usual spelling", () => {
    expect(["(415) 555-0100", "1 415 555 0100", "+44 20 7946 0000", "12", "call me"].map(e164)).toEqual([
      "+14155550100",
      "+14155550100",
      "+442079460000",
      undefined,
      undefined,
    ]);
  });
  it("have tags of a header line, and problems at their line", () => {
    expect(pastedLines("number,source\n4155550100,search\n\n4155550100\nnonsense 1")).toEqual([
      { line: 2, text: "4155550100,search", number: "+14155550100", tags: { source: "search" }, problem: undefined },
      { line: 4, text: "4155550100", number: "+14155550100", tags: {}, problem: "It is in the list twice" },
      { line: 5, text: "nonsense 1", number: undefined, tags: {}, problem: "This is not a phone number" },
    ]);
  });
});
