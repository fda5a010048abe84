import fc from "fast-check";
import { expect, test } from "vitest";
import { type Pace, paced, progressLine, unpaced } from "../../src/rules/pace.ts";

const everyMs = 1000;
const say = (pace: Pace<string>, word: string | null, at: number) =>
  paced(pace, { said: word === null ? null : { word }, at, everyMs });

test("the first word goes out at once, and another a second later", () => {
  const first = say(unpaced, "a", 5000);
  expect(first).toEqual({ tell: { word: "a" }, pace: { told: 5000, kept: null }, afterMs: null });
  expect(say(first.pace, "b", 6000).tell).toEqual({ word: "b" });
});

test("of those that come too soon the last is kept until it is time", () => {
  const { pace } = say(unpaced, "a", 0);
  const soon = say(pace, "b", 100);
  expect(soon).toMatchObject({ tell: null, afterMs: 900 });
  const sooner = say(soon.pace, "c", 400);
  expect(sooner).toMatchObject({ tell: null, afterMs: 600 });
  expect(say(sooner.pace, null, 999)).toMatchObject({ tell: null, afterMs: 1 });
  expect(say(sooner.pace, null, 1000)).toMatchObject({ tell: { word: "c" }, afterMs: null });
});

test("nothing new and nothing kept tells nothing", () => {
  expect(say(unpaced, null, 0)).toEqual({ tell: null, pace: unpaced, afterMs: null });
});

test("whatever comes when: never two within a second, and the last word is told or kept", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1500), fc.option(fc.string()))), (words) => {
      let pace: Pace<string> = unpaced;
      let at = 0;
      let latest: string | null = null;
      const told: { word: string; at: number }[] = [];
      for (const [afterMs, word] of words) {
        at += afterMs;
        latest = word ?? latest;
        const next = say(pace, word, at);
        pace = next.pace;
        if (next.tell) told.push({ ...next.tell, at });
        expect(next.afterMs === null).toBe(pace.kept === null);
      }
      for (const [n, one] of told.entries())
        if (n > 0) expect(one.at - (told[n - 1]?.at ?? 0)).toBeGreaterThanOrEqual(1000);
      expect(pace.kept?.word ?? told.at(-1)?.word ?? null).toBe(latest);
    }),
  );
});

test("a stranger's progress is one line, says nothing to a terminal, and is not long", () => {
  expect(progressLine(" one\n\ttwo \u001b[31mred\u202e\u0000 ")).toBe("one two [31mred");
  expect(progressLine("x".repeat(9000))).toHaveLength(500);
});
