import { isStopWord, partsOf, type Word, wordsOf } from "./tokens.ts";

/** A name by which a passage can be called, normalised (nameOf). `strength` 0..1: how surely it means this passage. */
export type Alias = { name: string; strength: number };

/** A normalised name found in a text, with its place there. */
export type Mention = { name: string; from: number; to: number };

/** Words that may stand inside a name without a capital: `University of the Arts`. */
const connectors = new Set(
  "of the de von van der den and del della di da do dos du la le les el al bin ibn for in on at to a".split(" "),
);

/** Of these, the ones that as often stand between two names: `Neumann at the University`. */
const joints = new Set("and for in on at to".split(" "));

const longestAlias = 200; // characters
const longestName = 8; // words; longer titles are matched whole only through their terms

/** The key under which names meet: folded words with single spaces, nothing dropped but accents and punctuation. */
export function nameOf(text: string): string {
  return wordsOf(text)
    .map(({ word }) => word)
    .join(" ");
}

/** The names a title gives its passage: itself, without a closing parenthesis, the part before the first comma. */
export function aliasesOf(title: string): Alias[] {
  const bare = title.replace(/\s*\([^()]*\)\s*$/, "");
  const [head = ""] = bare.split(",");
  const symbol = head.replace(/[`*.@]/g, "").trim();
  const parts = /\s/.test(symbol) ? "" : partsOf(symbol).join(" ");
  const aliases = new Map<string, number>();
  for (const [text, strength] of [
    [title, 1],
    [bare, 0.8],
    [head, 0.8],
    [parts, 0.8],
  ] as const) {
    const name = nameOf(text);
    if (name !== "" && name.length <= longestAlias && !aliases.has(name)) aliases.set(name, strength);
  }
  return Array.from(aliases, ([name, strength]) => ({ name, strength }));
}

/** Every run of up to 8 words of a question: whatever name it uses is among them. */
export function namesIn(query: string): string[] {
  const words = wordsOf(query).slice(0, 200);
  const names = words.flatMap((_, start) =>
    Array.from({ length: Math.min(longestName, words.length - start) }, (_, more) =>
      words
        .slice(start, start + more + 1)
        .map(({ word }) => word)
        .join(" "),
    ),
  );
  return Array.from(new Set(names)).filter((name) => !isStopWord(name));
}

/**
 * What a text mentions: its capitalised spans (`Johann von Neumann`, `Bank of England`) and its symbols (`bodyLimit`,
 * `FST_ERR_DEC`, anything between backticks). A span that opens with a stop word is given without it too, one joined by
 * `and`, `in`, `at` and the like in its parts too. A pure function of the text, so the graph is the same in whatever order it was built.
 */
export function mentionsIn(text: string): Mention[] {
  return spansIn(text).flatMap((words) => {
    const parts = [words, ...partsAtJoints(words)];
    const inner = parts.flatMap(([first, ...rest]) => (first && isStopWord(first.word) ? [rest] : []));
    return [...parts, ...inner].flatMap(mentionOf);
  });
}

/** Every name that could be the longest known one inside a span: what is looked up among the titles. */
export function candidatesIn(text: string): Mention[] {
  return spansIn(text).flatMap((words) =>
    words.flatMap((_, start) =>
      words.slice(start, start + longestName).flatMap((__, more) => mentionOf(words.slice(start, start + more + 1))),
    ),
  );
}

/** Of overlapping mentions the longest stays; of equal ones the first. */
export function longestOf(mentions: Mention[]): Mention[] {
  const kept: Mention[] = [];
  for (const one of mentions.toSorted((a, b) => b.to - b.from - (a.to - a.from) || a.from - b.from)) {
    if (kept.every(({ from, to }) => one.to <= from || one.from >= to)) kept.push(one);
  }
  return kept.sort((a, b) => a.from - b.from);
}

function mentionOf(words: Word[]): Mention[] {
  const [first] = words;
  const last = words.at(-1);
  if (!first || !last || words.length > longestName) return [];
  if (connectors.has(last.word) || (words.length > 1 && connectors.has(first.word) && first.word !== "the")) return [];
  if (words.length === 1 && (isStopWord(first.word) || first.word.length < 2)) return [];
  return [{ name: words.map(({ word }) => word).join(" "), from: first.from, to: last.to }];
}

function partsAtJoints(words: Word[]): Word[][] {
  if (words.every(({ word }) => !joints.has(word))) return [];
  const parts: Word[][] = [[]];
  for (const word of words) {
    if (joints.has(word.word)) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts;
}

/** Runs of capitalised words with their connectors, and symbols, as words. */
function spansIn(text: string): Word[][] {
  const spans: Word[][] = [];
  let run: Word[] = [];
  const close = () => {
    while (run.length > 0 && connectors.has(run.at(-1)?.word ?? "")) run.pop();
    if (run.length > 0) spans.push(run);
    run = [];
  };
  let before = 0;
  for (const word of wordsOf(text)) {
    const raw = text.slice(word.from, word.to);
    const gap = text.slice(before, word.from).replace(/\s+/g, " ");
    const initial = (run.at(-1)?.word.length ?? 0) <= 2; // a full stop after more than an initial ends a sentence
    before = word.to;
    if (!/^(?: ?|[-–'’/]| & )$/.test(gap) && !(initial && /^\. ?$/.test(gap))) close();
    const symbol = isSymbol(raw) || (text[word.from - 1] === "`" && text[word.to] === "`");
    const capital = /^\p{Lu}/u.test(raw) || (run.length > 0 && /^\p{N}/u.test(raw));
    if (symbol) {
      close();
      spans.push([word]);
    } else if (capital || (run.length > 0 && connectors.has(word.word))) run.push(word);
    else close();
  }
  close();
  return spans;
}

/** camelCase or snake_case: a word of a program, not of a language. `McCartney` and `YouTube` open with a capital. */
function isSymbol(raw: string): boolean {
  return /^[a-z$_][\p{L}\p{N}$]*\p{Lu}/u.test(raw) || /\p{L}_\p{L}/u.test(raw);
}
