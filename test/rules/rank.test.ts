import { describe, expect, test } from "vitest";
import { baseScores, highest, idfOf, namedBonus, rank, shortlist, withHeading } from "../../src/rules/rank.ts";

const none = new Map<string, number>();
const plain = { hops: none, format: "text" } as const;
const match = (id: string, shares: number[], named = 0) => ({ id, shares, named });

describe("ranking", () => {
  test("is by BM25 in shares of the best match, and by the bonus for a name", () => {
    const scores = baseScores([match("a", [3, 1]), match("b", [2, 0]), match("c", [0, 0], 1.5)]);

    expect(Object.fromEntries(scores)).toEqual({ a: 1, b: 0.5, c: 1.5 });
    expect(rank([match("a", [3]), match("b", [2]), match("c", [0], 1.5)], plain, 2).map(({ id }) => id)).toEqual([
      "c",
      "a",
    ]);
  });

  test("lets what was said already count less, so the other half of a question is heard", () => {
    const echoes = [match("a", [4, 0]), match("b", [3.9, 0]), match("other", [0, 2.5])];

    expect(rank(echoes, plain, 3).map(({ id }) => id)).toEqual(["a", "other", "b"]);
  });

  test("lets the best sections of a manual stand together, though they say the same", () => {
    const sections = [match("a", [4, 0]), match("b", [3.9, 0]), match("other", [0, 2.5])];

    expect(rank(sections, { ...plain, format: "markdown" }, 3).map(({ id }) => id)).toEqual(["a", "b", "other"]);
  });

  test("a heading says once more what its section is about", () => {
    const { shares } = withHeading(match("a", [1, 1]), new Set(["limit"]), { terms: ["limit", "set"], idf: [2, 3] });

    expect(shares).toEqual([3, 1]);
  });

  test("lifts a passage that a good passage leads to above one that only shares words", () => {
    const matches = [match("seed", [4]), match("words", [2]), match("bridge", [0.4])];

    expect(rank(matches, { ...plain, hops: new Map([["bridge", 0.6]]) }, 3).map(({ id }) => id)).toEqual([
      "seed",
      "bridge",
      "words",
    ]);
  });

  test("says which terms brought a passage to its place", () => {
    expect(rank([match("a", [0, 2, 1])], plain, 1)).toMatchObject([{ id: "a", b: 1, v: 0, covers: [1, 2] }]);
  });

  test("is the same in whatever order the matches come, and gives no passage twice", () => {
    const matches = Array.from({ length: 90 }, (_, at) => match(`m${at % 7}-${at}`, [at % 5, at % 3], at % 2));
    const ids = rank(matches, plain, 50).map(({ id }) => id);

    expect(rank(matches.toReversed(), plain, 50).map(({ id }) => id)).toEqual(ids);
    expect(new Set(ids).size).toBe(50);
    expect(shortlist(matches, plain)).toHaveLength(60);
  });

  test("of nothing is nothing", () => {
    expect(rank([], plain, 5)).toEqual([]);
    expect(highest(none, 3)).toEqual([]);
  });

  test("a rare term weighs more than a common one, and none weighs less than nothing", () => {
    expect(idfOf(1000, 1)).toBeGreaterThan(idfOf(1000, 500));
    expect(idfOf(1000, 1000)).toBeGreaterThan(0);
  });

  test("a name counts by its share of the question, and less when many go by it", () => {
    const whole = namedBonus({ strength: 1, sharing: 1, share: 1 });

    expect(namedBonus({ strength: 1, sharing: 1, share: 0.2 })).toBeLessThan(whole);
    expect(namedBonus({ strength: 1, sharing: 4, share: 1 })).toBe(whole / 2);
  });
});
