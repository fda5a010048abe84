import type { Passage } from "../../contracts/knowledge.ts";
import { type Bridge, bridgesOf, cluesOf, namesToLookUp, type Question } from "../../rules/bridge.ts";
import { namesIn } from "../../rules/names.ts";
import {
  baseScores,
  bm25,
  highest,
  type Match,
  namedBonus,
  type Ranked,
  rank,
  shortlist,
  withHeading,
} from "../../rules/rank.ts";
import { reasonsFor } from "../../rules/reasons.ts";
import { termsOf, termsOfQuestion } from "../../rules/tokens.ts";
import type { Sql } from "../../store/database.ts";
import type { ChunkRow, NameMatch, Scope } from "../../store/retrieval.ts";
import { chunksOf, matchTerms, mentioningChunks, namedChunks, weighChunks } from "../../store/retrieval.ts";

/** What is found where there is nothing to look in. */
export function foundNothing(query: string): { passages: Passage[]; question: Question } {
  return { passages: [], question: { terms: termsOfQuestion(query), idf: [], names: new Set() } };
}

type Wish = { tenant: string; collection: string | null; query: string; k: number };

const poolSize = 200; // chunks that are ranked by more than their words
const seedCount = 5; // chunks from which a hop is made
const mostHops = 60; // chunks one hop away that are ranked
const mostTerms = 64; // of a question; a longer one is cut

/**
 * The passages for a question, best first: BM25 with titles, the names the question uses, one hop along the names that
 * the best passages mention, and coverage. Four rounds to the database, whatever the size of the index.
 */
export async function retrieve(
  sql: Sql,
  { tenant, collection, query, k }: Wish,
): Promise<{ passages: Passage[]; question: Question }> {
  const scope = { tenant, collection };
  const terms = Array.from(new Set(termsOfQuestion(query))).slice(0, mostTerms);
  const names = namesIn(query);
  const [{ matches, idf }, called] = await Promise.all([
    matchTerms(sql, scope, { terms, limit: poolSize, bm25 }),
    namedChunks(sql, scope, names),
  ]);
  const question: Question = { terms, idf, names: new Set(names) };
  const direct = withBonuses(matches, called, question);
  const { bridges, format } = await hopFrom(sql, scope, { direct, question });
  const hops = new Map(Array.from(bridges, ([id, { v }]) => [id, v]));

  const matched = new Set(direct.map(({ id }) => id));
  const near = shortlist(direct, { hops, format });
  const far = highest(new Map(Array.from(hops).filter(([id]) => !matched.has(id))), mostHops);
  const origins = Array.from(bridges.values(), ({ hop }) => hop.chunk_id);
  const wanted = new Set([...near, ...far, ...origins]);
  const [reached, rows] = await Promise.all([
    weighChunks(sql, scope, { ids: far, terms, idf, bm25 }),
    chunksOf(sql, scope, Array.from(wanted)),
  ]);
  const all = [...direct, ...reached.map(({ chunkId, shares }) => ({ id: chunkId, shares, named: 0 }))];
  const found = rank(withHeadings(all, rows, question), { hops, format }, k);
  return { passages: present(found, { rows, bridges, called, terms }), question };
}

/** The matches by words with the bonus for names that the question uses; of several names of a chunk the best counts. */
function withBonuses(
  matches: { chunkId: string; shares: number[] }[],
  called: NameMatch[],
  { terms, idf }: Question,
): Match[] {
  const whole = idf.reduce((total, one) => total + one, 0);
  const bonus = new Map<string, number>();
  for (const { name, chunkId, strength, sharing } of called) {
    const said = new Set(termsOf(name));
    const part = terms.reduce((total, term, at) => total + (said.has(term) ? (idf[at] ?? 0) : 0), 0);
    const named = namedBonus({ strength, sharing, share: whole === 0 ? 1 : part / whole });
    bonus.set(chunkId, Math.max(bonus.get(chunkId) ?? 0, named));
  }
  const shares = new Map(matches.map((match) => [match.chunkId, match.shares]));
  const ids = new Set([...shares.keys(), ...bonus.keys()]);
  return Array.from(ids, (id) => ({
    id,
    shares: shares.get(id) ?? terms.map(() => 0),
    named: bonus.get(id) ?? 0,
  }));
}

/**
 * The passages one hop from the best matches, each with the best way to it, and the format of the best match. Both
 * sides of the hop stay in the scope.
 */
async function hopFrom(
  sql: Sql,
  scope: Scope,
  { direct, question }: { direct: Match[]; question: Question },
): Promise<{ bridges: Map<string, Bridge>; format: ChunkRow["format"] }> {
  const base = baseScores(direct);
  const best = highest(base, seedCount);
  const rows = await chunksOf(sql, scope, best);
  const seeds = rows.map(({ chunkId, title, section, text }) => {
    return { id: chunkId, own: headingOf({ title, section }), text, b: base.get(chunkId) ?? 0 };
  });
  const clues = cluesOf(seeds, question);
  const names = namesToLookUp(clues);
  const found = await Promise.all([namedChunks(sql, scope, names), mentioningChunks(sql, scope, names)]);
  const neighbours = found.flat().map(({ chunkId, ...rest }) => ({ ...rest, id: chunkId }));
  const format = rows.find(({ chunkId }) => chunkId === best[0])?.format ?? "text";
  return { bridges: bridgesOf(clues, neighbours), format };
}

/** The matches of manuals, with what their headings say of the question. */
function withHeadings(matches: Match[], rows: ChunkRow[], question: Question): Match[] {
  const byId = new Map(rows.map((row) => [row.chunkId, row]));
  return matches.map((match) => {
    const row = byId.get(match.id);
    return row?.format === "markdown" ? withHeading(match, new Set(termsOf(headingOf(row))), question) : match;
  });
}

/** What a chunk is about: its own heading, or the title of its document. */
function headingOf({ title, section }: { title: string; section: string }): string {
  return section.split(" > ").at(-1) || title;
}

type Findings = { rows: ChunkRow[]; bridges: Map<string, Bridge>; called: NameMatch[]; terms: string[] };

/** The ranked chunks as passages. One whose document was replaced between two rounds is left out. */
function present(ranked: Ranked[], { rows, bridges, called, terms }: Findings): Passage[] {
  const byId = new Map(rows.map((row) => [row.chunkId, row]));
  const publicId = (id: string) => {
    const row = byId.get(id);
    return row ? `${row.documentId}#${row.ordinal}` : id;
  };
  return ranked.flatMap((one): Passage[] => {
    const row = byId.get(one.id);
    if (!row) return [];
    const hop = bridges.get(one.id)?.hop ?? null;
    const name = called.find(({ chunkId }) => chunkId === one.id)?.name ?? null;
    return [
      {
        chunk_id: publicId(one.id),
        collection: row.collection,
        document_id: row.documentId,
        span: [row.from, row.to],
        title: row.title,
        section: row.section,
        text: row.text,
        score: one.score,
        reasons: reasonsFor(one, { terms, name, hop }),
        path: hop ? [{ ...hop, chunk_id: publicId(hop.chunk_id) }] : [],
      },
    ];
  });
}
