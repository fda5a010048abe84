import type { Passage } from "../contracts/knowledge.ts";
import type { Citation } from "../contracts/message.ts";
import { coverOf, type Question } from "./bridge.ts";
import { type Sentence, sentencesOf } from "./sentences.ts";

/** Sentences of the found passages, each followed by the number of its citation. */
export type Quoted = { text: string; citations: Citation[] };

const mostCitations = 3;

/** A passage far below the best one, as a share of its score, is not quoted. */
const leastScore = 0.2;

/**
 * What is an answer: one passage says this much of the question, or one says some and those quoted together most.
 * Measured on questions asked of the right and of the wrong documents; these numbers part them best.
 */
const answering = { alone: 0.4, some: 0.25, together: 0.64 };

/** A quote is one sentence with its neighbours in the paragraph, while all together stay this short, in characters. */
const shortQuote = 300;

/**
 * The extractive answer: from each of the best passages the sentence that covers most of the question, word for word.
 * No citations: no passage says enough of what was asked.
 */
export function quoteFrom(passages: Passage[], question: Question): Quoted {
  const [best] = passages;
  if (!best || !answers(passages, question)) return { text: "", citations: [] };

  const citations = passages
    .filter(({ score }) => score >= best.score * leastScore)
    .slice(0, mostCitations)
    .map((passage) => citationOf(passage, question));
  const text = citations.map(({ quote }, index) => `${readable(quote)} [${index + 1}]`).join("\n");
  return { text, citations };
}

function answers(passages: Passage[], question: Question): boolean {
  const texts = passages.map(wholeOf);
  const most = Math.max(...texts.map((text) => coverOf(text, question)));
  const together = () => coverOf(texts.slice(0, mostCitations).join("\n"), question);
  return most >= answering.alone || (most >= answering.some && together() >= answering.together);
}

function citationOf(passage: Passage, question: Question): Citation {
  const { from, to } = bestOf(passage.text, question);
  const [start] = passage.span;
  const { document_id, title, section } = passage;
  return { document_id, title, section, span: [start + from, start + to], quote: passage.text.slice(from, to) };
}

/**
 * The best place in a text: prose before code, what covers more before what covers less, what comes first first.
 * What stands before it in the paragraph comes along where it fits, because that is what `it` and `this` point at.
 */
function bestOf(text: string, question: Question): { from: number; to: number } {
  const all = sentencesOf(text).filter((sentence) => wordy(text, sentence));
  const prose = all.filter((sentence) => !sentence.code && !looksLikeCode(text.slice(sentence.from, sentence.to)));
  const sentences = prose.length > 0 ? prose : all;
  const scores = sentences.map(({ from, to }) => coverOf(text.slice(from, to), question));
  let first = scores.indexOf(Math.max(...scores));
  let last = first;
  const fits = (start: number, end: number) => {
    const [from, to] = [sentences[start], sentences[end]];
    return from !== undefined && to !== undefined && to.to - from.from <= shortQuote;
  };
  const adjoin = (left: Sentence | undefined, right: Sentence | undefined) =>
    left !== undefined && right !== undefined && /^[ \t]*\r?\n?[ \t>]*$/.test(text.slice(left.to, right.from));
  while (adjoin(sentences[first - 1], sentences[first]) && fits(first - 1, last)) first -= 1;
  while (adjoin(sentences[last], sentences[last + 1]) && fits(first, last + 1)) last += 1;
  return { from: sentences[first]?.from ?? 0, to: sentences[last]?.to ?? text.length };
}

/** A line of a code block that was cut, so that its fence is in another chunk. */
function looksLikeCode(sentence: string): boolean {
  return /^\/\/|=>|[;{}]\s*(?:\n|$)|\w\(\)?[^)]*\)\s*\{/.test(sentence);
}

/** True for what a person would read as a sentence: two words at least, besides markup. */
function wordy(text: string, { from, to }: Sentence): boolean {
  const said = text.slice(from, to).replace(/<[^>]*>|\[[^\]]*\]:\s*\S+/g, " ");
  return (said.match(/[\p{L}\p{N}]+/gu) ?? []).length >= 2;
}

function wholeOf({ title, section, text }: Passage): string {
  return `${title}\n${section}\n${text}`;
}

function readable(quote: string): string {
  return quote.replace(/\n\s*>\s?/g, " ").replace(/\s+/g, " ");
}
