import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stem } from "../../src/rules/stem.ts";
import { fold, partsOf, termsOf, wordsOf } from "../../src/rules/tokens.ts";

describe("terms", () => {
  test.each([
    ["How do I set the body size limit?", ["set", "bodi", "size", "limit"]],
    ["Émile's café", ["emil", "cafe"]],
    ["Smørrebrød in Łódź", ["smorrebrod", "lodz"]],
    ["`bodyLimit`", ["bodylimit", "bodi", "limit"]],
    ["FST_ERR_NOT_FOUND", ["fsterrnotfound", "fst", "err", "found"]],
    ["Content-Type: text/plain", ["content", "type", "text", "plain"]],
    ["東京都", ["東京", "京都"]],
    ["Москва, Россия", ["москва", "россия"]],
    ["the and of", []],
  ])("of %j leave out stop words, accents and endings, and take identifiers apart", (text, terms) => {
    expect(termsOf(text)).toEqual(terms);
  });

  test.each([
    ["serializer", "serialize", "serialization", "serializes", "serialized"],
    ["proxy", "proxies"],
    ["validate", "validation", "validated", "validating"],
    ["limit", "limits", "limited", "limiting"],
    ["stop", "stopped", "stopping"],
  ])("a question and a manual meet in the stem: %s", (...words) => {
    expect(new Set(words.map(stem)).size).toBe(1);
  });

  test("a word stays apart from another one that only begins like it", () => {
    expect(stem("status")).not.toBe(stem("state"));
    expect(stem("string")).toBe("string");
    expect(stem("this")).toBe("this");
  });

  test("words know their places, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        for (const { word, from, to } of wordsOf(text)) {
          expect(to).toBeGreaterThan(from);
          expect(to).toBeLessThanOrEqual(text.length);
          expect(word.length).toBeLessThanOrEqual(64);
        }
      }),
    );
  });

  test("folding twice is folding once, and case does not matter", () => {
    fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => fold(fold(text)) === fold(text)));
    expect(fold("ÉMILE")).toBe(fold("émile"));
  });

  test("a key of 5,000 characters becomes a term the index has room for", () => {
    expect(termsOf("a1".repeat(2500)).every((term) => term.length <= 64)).toBe(true);
  });

  test.each([
    ["onSendHook", ["on", "send", "hook"]],
    ["X509Key", ["x509", "key"]],
    ["HTTPServer", ["http", "server"]],
    ["plain", ["plain"]],
    ["__proto__", ["proto"]],
  ])("the parts of %s", (name, parts) => {
    expect(partsOf(name)).toEqual(parts);
  });
});
