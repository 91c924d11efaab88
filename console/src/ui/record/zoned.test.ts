import { describe, expect, it } from "vitest";
import { instantIn, wallIn } from "./zoned";

describe("wall times of a zone", () => {
  it("are instants, in winter and in summer", () => {
    expect(instantIn("2026-01-15T09:30", "America/New_York")).toBe("2026-01-15T14:30:00.000Z");
    expect(instantIn("2026-07-15", "America/New_York")).toBe("2026-07-15T04:00:00.000Z");
  });
  it("mean the first pass of an hour that comes twice", () => {
    expect(instantIn("2026-11-01T01:30", "America/New_York")).toBe("2026-11-01T05:30:00.000Z");
  });
  it("are told back as they were", () => {
    expect(wallIn(instantIn("2026-03-08T12:00", "America/Chicago"), "America/Chicago")).toBe("2026-03-08T12:00");
  });
});
