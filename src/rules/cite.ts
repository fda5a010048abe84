import type { Citation } from "../contracts/message.ts";
import type { Grounding } from "../contracts/work.ts";

const longestQuote = 300; // characters of a passage

/** `[1]` and `[1, 2]`; not the index of a list, as in `rows[1]`. */
const mark = /(?<![\w\])])\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]/g;

/**
 * What somebody named of the passages he was shown, counted from 1: the citations in the order they are first named, and
 * the text with their new numbers. A number that no passage has is left out of both.
 */
export function citedIn(text: string, grounding: Grounding[]): { text: string; citations: Citation[] } {
  const order: number[] = [];
  const renumbered = text.replace(mark, (whole, list: string) => {
    const known = list
      .split(",")
      .map((part) => Number(part))
      .filter((number) => number >= 1 && number <= grounding.length);
    if (grounding.length === 0) return whole;
    for (const number of known) if (!order.includes(number)) order.push(number);
    return known.length === 0 ? "" : `[${known.map((number) => order.indexOf(number) + 1).join(", ")}]`;
  });
  const citations = order.flatMap((number) => {
    const passage = grounding[number - 1];
    return passage ? [citationOf(passage)] : [];
  });
  return { text: renumbered, citations };
}

function citationOf({ document_id, title, section, span: [from], text }: Grounding): Citation {
  const quote = text.slice(0, longestQuote);
  return { document_id, title, section, span: [from, from + quote.length], quote };
}
