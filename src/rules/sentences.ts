/** A stretch of a text, `[from, to)` in UTF-16 units. `code`: it is a line of a fenced block, not prose. */
export type Sentence = { from: number; to: number; code: boolean };

/** A full stop after one of these, or after a single capital, ends no sentence. */
const abbreviation =
  /(?:^|[\s("'])(?:\p{Lu}|mr|mrs|ms|dr|st|jr|sr|vs|etc|e\.g|i\.e|no|vol|prof|gen|rev|lt|col|cf|approx)\.$/iu;

/** What opens a line of Markdown without being said: list marker, quote, heading, table bar. */
const opener = /^(?:\s*(?:[-+*]|\d+[.)]|>|#{1,6}|\|)(?=\s|$))*\s*/;

/** The line between the head and the rows of a table. */
const tableRule = /^\s*\|?\s*:?-+:?\s*\|[\s:|-]*$/;

/**
 * The sentences of plain text or raw Markdown, in order, as places in it. Blank lines, list items, headings, quotes
 * and table rows are borders; every line of a fenced block is a sentence of its own.
 */
export function sentencesOf(text: string): Sentence[] {
  const sentences: Sentence[] = [];
  let fence: string | null = null;
  let quoted = false;
  let open: { from: number; to: number }[] = []; // the lines of the paragraph that is being read
  const close = () => {
    const [first] = open;
    if (first) sentences.push(...split(text, { from: first.from, to: open.at(-1)?.to ?? first.to }));
    open = [];
  };

  let at = 0;
  for (const line of text.split("\n")) {
    const from = at;
    const to = at + line.length;
    at = to + 1;
    const [, mark] = /^\s*(?:>\s*)*(`{3,}|~{3,})/.exec(line) ?? [];
    if (mark && (fence === null || mark.startsWith(fence))) {
      close();
      fence = fence === null ? mark : null;
    } else if (fence !== null) {
      if (line.trim() !== "") sentences.push({ ...trimmed(text, from, to), code: true });
    } else {
      if (tableRule.test(line)) {
        open = []; // the row above it names the columns and says nothing by itself
        continue;
      }
      const lead = opener.exec(line)?.[0] ?? "";
      const goesOn = quoted && /^\s*>\s*$/.test(lead) && line.length > lead.length; // the next line of a quote
      if ((lead.trim() !== "" && !goesOn) || line.trim() === "") close();
      quoted = lead.includes(">");
      if (line.slice(lead.length).trim() !== "") open.push({ from: from + lead.length, to });
    }
  }
  close();
  return sentences;
}

function split(text: string, { from, to }: { from: number; to: number }): Sentence[] {
  const pieces: Sentence[] = [];
  let start = from;
  for (const { 0: stop, index } of text.slice(from, to).matchAll(/[.!?。！？]["'”’)\]*]*(?=\s+\S|$)|[。！？]/gu)) {
    const end = from + index + stop.length;
    const rest = text.slice(end, to).trimStart();
    if (abbreviation.test(text.slice(start, from + index + 1)) || /^\p{Ll}/u.test(rest)) continue;
    pieces.push({ ...trimmed(text, start, end), code: false });
    start = end;
  }
  if (/[^\s>]/.test(text.slice(start, to))) pieces.push({ ...trimmed(text, start, to), code: false });
  return pieces;
}

function trimmed(text: string, from: number, to: number): { from: number; to: number } {
  const raw = text.slice(from, to);
  const lead = raw.length - raw.replace(/^[\s>]+/, "").length;
  return { from: from + lead, to: from + raw.trimEnd().length };
}
