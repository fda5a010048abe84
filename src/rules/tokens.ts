import { stem } from "./stem.ts";

/** A word as it stands in a text: `[from, to)` in UTF-16 units, `word` folded (see fold). */
export type Word = { word: string; from: number; to: number };

/** Latin letters that Unicode does not take apart. */
const undivided: Record<string, string> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  đ: "d",
  ð: "d",
  þ: "th",
  ł: "l",
  ı: "i",
};

/** Scripts that write no spaces: their text is read as overlapping pairs of characters. */
const spaceless =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** Longer words are cut: they are keys and hashes, and the index has no room for them. */
const longestWord = 64;

const ascii = /^[\x20-\x7e]*$/;
const plainWord = /^[A-Za-z]?[a-z]*$|^[0-9]+$/;

const wordPattern = /[\p{L}\p{N}_$][\p{L}\p{M}\p{N}_$]*(?:['’]s(?![\p{L}\p{N}]))?/gu;

/** Words that say nothing about what a text is about, or what a question asks. */
const stopWords = new Set(
  (
    "a about after all also an and any are as at be because been before being between both but by can could did do does " +
    "doing during each for from further had has have having he her here hers him his how i if in into is it its itself " +
    "just me more most my no nor not of off on once only or other our out over own s same she should so some such t than " +
    "that the their them then there these they this those through to too under until up us very was we were what when " +
    "where which while who whom whose why will with would you your"
  ).split(" "),
);

/** Lower case without accents, so that `Émile` and `emile` are one word. */
export function fold(text: string): string {
  if (ascii.test(text)) return text.toLowerCase();
  return text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[ßæœøđðþłı]/g, (letter) => undivided[letter] ?? letter);
}

/** The words of a text in order, folded, without a possessive 's; spaceless scripts as pairs of characters. */
export function wordsOf(text: string): Word[] {
  return Array.from(text.matchAll(wordPattern)).flatMap(({ 0: raw, index: from }) => {
    if (!ascii.test(raw) && spaceless.test(raw)) return pairsOf(raw, from);
    const word = fold(raw.replace(/['’]s$/, ""))
      .replace(/[_$]/g, "")
      .slice(0, longestWord);
    return word === "" ? [] : [{ word, from, to: from + raw.length }];
  });
}

function pairsOf(raw: string, from: number): Word[] {
  const letters = Array.from(raw);
  if (letters.length < 2) return [{ word: fold(raw), from, to: from + raw.length }];
  let at = from;
  return letters.slice(1).map((second, index) => {
    const first = letters[index] ?? "";
    const pair = { word: fold(first + second), from: at, to: at + first.length + second.length };
    at += first.length;
    return pair;
  });
}

/** The index terms of a question: as those of a text, without the measure it asks for ("how long", "how often"). */
export function termsOfQuestion(question: string): string[] {
  return termsOf(question.replace(/\bhow\s+(long|often|many|much|far|old|big)\b/gi, "how"));
}

/**
 * The index terms of a text, in order and with repetitions: folded, stemmed, without stop words.
 * An identifier gives itself and its parts, so that `bodyLimit` answers to `body limit` and to `bodyLimit`.
 */
export function termsOf(text: string): string[] {
  return wordsOf(text).flatMap(({ word, from, to }) => {
    const parts = partsOf(text.slice(from, to));
    return [word, ...(parts.length > 1 ? parts : [])].filter((part) => !stopWords.has(part)).map(stem);
  });
}

/** True for a folded word that is left out of the index. */
export function isStopWord(word: string): boolean {
  return stopWords.has(word);
}

/** The parts of an identifier, folded: `onSendHook`, `FST_ERR_SEND`, `X509Key` → words; one part for a plain word. */
export function partsOf(raw: string): string[] {
  if (plainWord.test(raw)) return raw === "" ? [] : [fold(raw).slice(0, longestWord)];
  return raw
    .replace(/['’]s$/, "")
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2")
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2")
    .split(/[\s_$]+/)
    .map((part) => fold(part).slice(0, longestWord))
    .filter((part) => part !== "");
}
