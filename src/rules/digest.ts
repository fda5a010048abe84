import type { DocumentDraft } from "../contracts/knowledge.ts";
import { type Block, outlineOf, type Section } from "./markdown.ts";
import { type Alias, aliasesOf, mentionsIn } from "./names.ts";
import { sentencesOf } from "./sentences.ts";
import { termsOf } from "./tokens.ts";

/** A change of the recipe changes this word, so that documents are read anew although their text is the same. */
export const recipe = "1";

/** A piece of a document, as it is indexed. */
export type ChunkDraft = {
  ordinal: number; // 0.. in its document
  section: string; // the heading path, 'Hooks > onSend'; empty before the first heading
  from: number; // [from, to) in the document, UTF-16 units
  to: number;
  length: number; // terms
  terms: Map<string, number>; // term to how often; those of the own title count twice
  aliases: Alias[]; // the names by which this chunk can be called
  mentions: string[]; // the names it mentions, each once
};

export type Digest = { title: string; chunks: ChunkDraft[] };

/** A chunk is at most this long, in characters, unless its section fits in a quarter more. */
const chunkSize = 1200;

/** A title says what its passage is about; a heading of a manual is often a common word, and is believed less. */
const headingTrust = 0.4;

/** Cuts a document into chunks and reads from each what the index keeps. Pure: the same document, the same digest. */
export function digestOf({ id, title, text, format }: DocumentDraft): Digest {
  const trust = format === "markdown" ? headingTrust : 1;
  const outline = format === "markdown" ? outlineOf(text) : { title: null, sections: [plainSection(text)] };
  const file = /([^/]+)\.\w{1,8}$/.exec(id)?.[1] ?? null;
  const name = title ?? outline.title ?? file ?? id;

  const pieces = outline.sections.flatMap((section) =>
    pack(section.blocks, text).map((blocks, part) => ({ path: section.path, blocks, part })),
  );
  const chunks = pieces.map(({ path, blocks, part }, ordinal) => {
    const own = path.at(-1) ?? name;
    const context = [name, ...path.slice(0, -1), file ?? ""].filter((other) => other !== own).join("\n");
    const plain = blocks.map((block) => block.plain).join("\n");
    const terms = new Map<string, number>();
    const words = [...termsOf(own), ...termsOf(own), ...termsOf(context), ...termsOf(plain)];
    for (const word of words) terms.set(word, (terms.get(word) ?? 0) + 1);
    return {
      ordinal,
      section: path.join(" > "),
      from: blocks[0]?.from ?? 0,
      to: blocks.at(-1)?.to ?? 0,
      length: words.length,
      terms,
      aliases: part === 0 ? aliasesFor({ own, name, file, first: ordinal === 0, trust }) : [],
      mentions: Array.from(new Set(mentionsIn(plain).map((mention) => mention.name))),
    };
  });
  return { title: name, chunks };
}

/** The first piece of a section answers to its heading, the first of a document to its title and file name too. */
function aliasesFor(of: { own: string; name: string; file: string | null; first: boolean; trust: number }): Alias[] {
  const aliases = aliasesOf(of.own);
  const more = of.first ? [...aliasesOf(of.name), ...(of.file ? aliasesOf(of.file) : [])] : [];
  const known = new Set(aliases.map(({ name }) => name));
  for (const alias of more) {
    if (!known.has(alias.name)) aliases.push(alias);
    known.add(alias.name);
  }
  return aliases.map(({ name, strength }) => ({ name, strength: strength * of.trust }));
}

function plainSection(text: string): Section {
  const blocks = Array.from(text.matchAll(/\S[\s\S]*?(?=\n[ \t]*\r?\n|\s*$)/g)).map(({ 0: plain, index }) => ({
    from: index,
    to: index + plain.length,
    plain,
  }));
  return { path: [], blocks };
}

/** Fills chunks with whole blocks; a block that is too long by itself is cut between its sentences. */
function pack(blocks: Block[], text: string): Block[][] {
  const [first] = blocks;
  const last = blocks.at(-1);
  if (!first || !last) return [];
  if (last.to - first.from <= chunkSize * 1.25) return [blocks];

  const packed: Block[][] = [];
  let open: Block[] = [];
  for (const block of blocks.flatMap((whole) => cut(whole, text))) {
    if (open[0] && block.to - open[0].from > chunkSize) {
      packed.push(open);
      open = [];
    }
    open.push(block);
  }
  if (open.length > 0) packed.push(open);
  return packed;
}

function cut(block: Block, text: string): Block[] {
  if (block.to - block.from <= chunkSize) return [block];
  return sentencesOf(text.slice(block.from, block.to)).flatMap((sentence) => {
    const [from, to] = [block.from + sentence.from, block.from + sentence.to];
    const starts = Array.from({ length: Math.ceil((to - from) / chunkSize) }, (_, n) => from + n * chunkSize);
    return starts.map((start) => {
      const end = Math.min(to, start + chunkSize);
      return { from: start, to: end, plain: text.slice(start, end) };
    });
  });
}
