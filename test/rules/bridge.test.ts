import { describe, expect, test } from "vitest";
import { bridgesOf, cluesOf, coverOf, type Neighbour, namesToLookUp } from "../../src/rules/bridge.ts";
import { namesIn } from "../../src/rules/names.ts";
import { termsOf } from "../../src/rules/tokens.ts";

const asked = (query: string) => {
  const terms = termsOf(query);
  return { terms, idf: terms.map(() => 1), names: new Set(namesIn(query)) };
};
const seed = {
  id: "1",
  own: "Demon Dice",
  text: "Demon Dice is a dice game created by Lester Smith. It was published in Wisconsin.",
  b: 1,
};
const titled = (name: string, id: string, rest: Partial<Neighbour> = {}): Neighbour => ({
  name,
  id,
  kind: "titled",
  strength: 1,
  sharing: 1,
  mentioned: 1,
  ...rest,
});

describe("a hop", () => {
  const question = asked("When was the man born who created Demon Dice?");
  const clues = cluesOf([seed], question);

  test("goes to what the sentence mentions that says most of the question, and remembers it", () => {
    const bridges = bridgesOf(clues, [titled("lester smith", "2"), titled("wisconsin", "3")]);

    expect(bridges.get("2")?.v).toBeGreaterThan(bridges.get("3")?.v ?? 1);
    expect(bridges.get("2")?.hop).toEqual({
      chunk_id: "1",
      title: "Demon Dice",
      sentence: "Demon Dice is a dice game created by Lester Smith.",
      name: "lester smith",
      kind: "titled",
    });
  });

  test("looks up whatever a sentence may mention, and not what the question names itself", () => {
    const names = namesToLookUp(clues);

    expect(names).toEqual(expect.arrayContaining(["lester smith", "lester", "smith", "wisconsin"]));
    expect(bridgesOf(clues, [titled("demon dice", "9")]).size).toBe(0);
  });

  test("to a name that many share, or that everybody mentions, is worth less", () => {
    const v = (rest: Partial<Neighbour>) => bridgesOf(clues, [titled("lester smith", "2", rest)]).get("2")?.v ?? 0;

    expect(v({ sharing: 4 })).toBeCloseTo(v({}) / 2);
    expect(v({ mentioned: 200 })).toBeLessThan(v({ mentioned: 2 }) / 2);
  });

  test("a passage that mentions the same name is worth less than the one called by it", () => {
    const shared: Neighbour = { ...titled("lester smith", "4", { sharing: 2 }), kind: "shared" };
    const bridges = bridgesOf(clues, [titled("lester smith", "2"), shared]);

    expect(bridges.get("4")?.v).toBeLessThan(bridges.get("2")?.v ?? 0);
    expect(bridges.get("4")?.hop.kind).toBe("shared");
  });

  test("leads back to passages that mention the seed, and never to the seed itself", () => {
    const back: Neighbour[] = ["1", "5"].map((id) => ({ ...titled("demon dice", id, { sharing: 2 }), kind: "shared" }));
    const bridges = bridgesOf(clues, back);

    expect([...bridges.keys()]).toEqual(["5"]);
    expect(bridges.get("5")?.hop).toMatchObject({ kind: "back", sentence: null });
  });

  test("the inner name of a known longer one does not count", () => {
    const bridges = bridgesOf(clues, [titled("lester smith", "2"), titled("smith", "6")]);

    expect(bridges.has("6")).toBe(false);
  });
});

test("a text covers the share of the question's weight that its terms hold", () => {
  const question = { terms: ["rare", "common"], idf: [3, 1], names: new Set<string>() };

  expect(coverOf("a rare thing", question)).toBe(0.75);
  expect(coverOf("a rare thing", question, new Set(["rare"]))).toBe(0);
  expect(coverOf("anything", { terms: [], idf: [], names: new Set() })).toBe(0);
});
