import { describe, expect, test } from "vitest";
import { aliasesOf, candidatesIn, longestOf, mentionsIn, namesIn } from "../../src/rules/names.ts";

const namesOf = (text: string) => mentionsIn(text).map(({ name }) => name);

describe("names", () => {
  test.each([
    ["Get Low (Dillon Francis and DJ Snake song)", ["get low dillon francis and dj snake song", "get low"]],
    ["Leland, North Carolina", ["leland north carolina", "leland"]],
    ["bodyLimit", ["bodylimit", "body limit"]],
    ["decorateRequest(name, value, [dependencies])", ["decoraterequest", "decorate request"]],
    ["!!!", []],
  ])("the aliases of the title %j", (title, names) => {
    expect(aliasesOf(title).map(({ name }) => name)).toEqual(expect.arrayContaining(names));
    expect(aliasesOf(title).every(({ strength }) => strength > 0 && strength <= 1)).toBe(true);
    if (names.length === 0) expect(aliasesOf(title)).toEqual([]);
  });

  test("a title means its passage more surely than a shortened one", () => {
    expect(aliasesOf("Paris (Texas)")).toEqual([
      { name: "paris texas", strength: 1 },
      { name: "paris", strength: 0.8 },
    ]);
  });

  test.each([
    ["He met Johann von Neumann at the University of Göttingen.", ["johann von neumann", "university of gottingen"]],
    ["Bob and Alice left.", ["bob and alice", "bob", "alice"]],
    ["The Beatles played.", ["the beatles", "beatles"]],
    ["Set bodyLimit, or `logger`, on FST_ERR_DEC.", ["bodylimit", "logger", "fsterrdec"]],
    ["It is TLS. This ends it.", ["tls"]],
    ["directed by D. W. Griffith", ["d w griffith"]],
  ])("what %j mentions", (text, names) => {
    expect(namesOf(text)).toEqual(expect.arrayContaining(names));
  });

  test("lower-case prose mentions nobody", () => {
    expect(namesOf("the quick brown fox jumps over the lazy dog")).toEqual([]);
  });

  test("the longest known name counts, not the one inside it", () => {
    const known = candidatesIn("She moved to New York City soon.").filter(({ name }) =>
      ["new york city", "york", "new york"].includes(name),
    );

    expect(longestOf(known).map(({ name }) => name)).toEqual(["new york city"]);
  });

  test("a question can use any run of its words as a name, whatever its case", () => {
    expect(namesIn("what does the onSend hook do")).toEqual(expect.arrayContaining(["onsend", "onsend hook"]));
    expect(namesIn("the")).toEqual([]);
  });
});
