import { describe, expect, test } from "vitest";
import { type Step, walk } from "../../../bench/chaos/history.ts";

/** 'acked 1' → a step. */
const steps = (...texts: string[]): Step[] =>
  texts.map((text) => {
    const [what = "", attempts = "0"] = text.split(" ");
    return { what, attempts: Number(attempts) };
  });

describe("the walk of a message", () => {
  test.each([
    [["accepted 0"], "queued", 0],
    [["accepted 0", "acked 1"], "claimed", 1],
    [["accepted 0", "acked 1", "status 1", "done 1"], "done", 1],
    [["accepted 0", "acked 1", "retry 1", "acked 2", "failed 2", "dead 2"], "dead", 2],
    [["accepted 0", "cancelled 0"], "cancelled", 0],
    [["accepted 0", "acked 1", "expired 1"], "expired", 1],
  ])("%j is legal", (texts, standing, attempts) => {
    expect(walk(steps(...texts))).toEqual({ standing, attempts, faults: [] });
  });

  test.each([
    [["acked 1", "done 1"], "acked 1 came while it was nothing"],
    [["accepted 0", "accepted 0"], "accepted 0 came while it was queued"],
    [["accepted 0", "acked 1", "done 1", "done 1"], "done 1 came while it was done"],
    [["accepted 0", "acked 1", "done 1", "acked 2"], "acked 2 came while it was done"],
    [["accepted 0", "acked 1", "dead 1"], "dead 1 came while it was claimed"],
    [["accepted 0", "acked 1", "acked 2"], "acked 2 came while it was claimed"],
    [["accepted 0", "acked 1", "retry 1", "acked 1"], "acked told attempt 1; it was attempt 2"],
    [["accepted 0", "acked 1", "retry 1", "acked 3"], "acked told attempt 3; it was attempt 2"],
    [["accepted 0", "acked 1", "retry 1", "acked 2", "done 1"], "done told attempt 1; it was attempt 2"],
  ])("%j is not", (texts, fault) => {
    expect(walk(steps(...texts)).faults).toEqual([fault]);
  });
});
