import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { progressOf } from "../../../src/services/codegen/progress.ts";

describe("what an agent says of its progress", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function open() {
    const told: unknown[][] = [];
    const progress = progressOf(
      { status: async (...said) => void told.push(said) },
      { round: 2, clock: () => vi.getMockedSystemTime()?.getTime() ?? 0 },
    );
    return { told, progress, texts: () => told.map(([text]) => text) };
  }

  test("is told as the executor's, with its round, the first of it at once", async () => {
    const { told, progress } = open();
    progress.hear(" reading ");
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual([["reading", { round: 2 }, "execute_status"]]);
  });

  test("is told at most once a second: of a burst, the last when it is time", async () => {
    const { texts, progress } = open();
    for (const text of ["a", "b", "c"]) progress.hear(text);
    await vi.advanceTimersByTimeAsync(999);
    expect(texts()).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(texts()).toEqual(["a", "c"]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(texts()).toEqual(["a", "c"]);
  });

  test("is told to its last word before the end, and not after it", async () => {
    const { texts, progress } = open();
    for (const text of ["a", "b"]) progress.hear(text);
    await progress.end();
    progress.hear("late");
    await progress.end();
    await vi.advanceTimersByTimeAsync(5000);
    expect(texts()).toEqual(["a", "b"]);
  });

  test("is told when it is new, cut to what a status may have", async () => {
    const { texts, progress } = open();
    for (const text of ["x".repeat(9000), "x".repeat(9000), "", "  "]) progress.hear(text);
    await progress.end();
    expect(texts()).toEqual(["x".repeat(500)]);
  });

  test("costs the answer nothing when it cannot be written", async () => {
    const progress = progressOf({ status: () => Promise.reject(new Error("no database")) }, { round: 1 });
    progress.hear("a");
    await expect(progress.end()).resolves.toBeUndefined();
  });
});
