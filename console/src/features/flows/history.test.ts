import { describe, expect, it } from "vitest";
import { begun, done, MOST_STEPS, redone, TOGETHER_MS, undone } from "./history";

describe("history", () => {
  it("goes back and forth, and forgets what was undone after another change", () => {
    const two = done(done(begun("a"), "b", "", 0), "c", "", 10_000);
    expect(undone(two).present).toBe("b");
    expect(undone(undone(two)).present).toBe("a");
    expect(redone(undone(two)).present).toBe("c");
    expect(redone(done(undone(two), "d", "", 20_000)).present).toBe("d");
    expect(undone(begun("a")).present).toBe("a");
  });
  it("takes quick changes of the same thing as one", () => {
    const typed = done(done(begun("a"), "ab", "text", 0), "abc", "text", TOGETHER_MS - 1);
    expect(undone(typed).present).toBe("a");
    const slowly = done(done(begun("a"), "ab", "text", 0), "abc", "text", TOGETHER_MS);
    expect(undone(slowly).present).toBe("ab");
    const other = done(done(begun("a"), "ab", "text", 0), "abc", "move", 1);
    expect(undone(other).present).toBe("ab");
    expect(undone(done(undone(typed), "x", "text", 5)).present).toBe("a");
  });
  it("is bounded, and a change to the same is none", () => {
    let many = begun(0);
    for (let step = 1; step <= MOST_STEPS + 50; step += 1) many = done(many, step, "", step * 10_000);
    expect(many.past.length).toBe(MOST_STEPS);
    expect(done(many, many.present, "", 0)).toBe(many);
  });
});
