/** What speaks for passages besides their words: the hops that recommend them, in what kind of text. */
export type Paths = { hops: ReadonlyMap<string, number>; format: "markdown" | "text" };

/** A passage by its own words: `shares` are the BM25 shares of the query terms, `named` the bonus for its names. */
export type Match = { id: string; shares: number[]; named: number };

/** A passage in its place. `covers` are the query terms (by index) that brought it there. */
export type Ranked = { id: string; score: number; b: number; v: number; covers: number[] };

/** BM25 as in Robertson and Zaragoza (2009); these two were the best on multi-hop questions. */
export const bm25 = { k1: 0.9, b: 0.4 } as const;

const weights = { named: 2.5, hopFloor: 0.4, heading: 1, depth: 60 };

/**
 * What differs between an encyclopedia and a manual. `hop`: what a hop is worth; its names are people and places in the
 * one and common words in the other. `spent`: how much of a term's weight is gone once a passage has said it; the one
 * says a thing once, the sections of the other say the same words, and the best of them are wanted.
 */
const habits = { text: { hop: 3, spent: 0.6 }, markdown: { hop: 1.5, spent: 0.3 } } as const;

/** The rarity of a term that `df` of `n` chunks hold. */
export function idfOf(n: number, df: number): number {
  return Math.log(1 + (n - df + 0.5) / (df + 0.5));
}

/** A name that the query uses, of a passage that goes by it together with `sharing - 1` others. */
export type Named = { strength: number; sharing: number; share: number }; // share: of the query's idf that the name is

/**
 * What a name that the query uses adds. It counts by its share of the query: `onSend` is what a question is about,
 * while a heading that is called `request` only shares a word with it.
 */
export function namedBonus({ strength, sharing, share }: Named): number {
  return (weights.named * strength * share) / Math.sqrt(sharing);
}

/** The base score of each match: BM25 in shares of the best one, and the bonus for names. */
export function baseScores(matches: Match[]): Map<string, number> {
  const most = mostOf(matches);
  return new Map(matches.map(({ id, shares, named }) => [id, sum(shares) / most + named]));
}

/**
 * A match whose heading was read: a term of the question in it weighs once more, as a heading says what its section is
 * about. For manuals; a title of an encyclopedia is a name, and has its bonus.
 */
export function withHeading(match: Match, said: ReadonlySet<string>, { terms, idf }: Asked): Match {
  const shares = match.shares.map(
    (share, at) => share + (said.has(terms[at] ?? "") ? weights.heading * (idf[at] ?? 0) : 0),
  );
  return { ...match, shares };
}

type Asked = { terms: string[]; idf: number[] };

/** The `count` ids with the highest numbers, highest first; equal ones in the order of their ids. */
export function highest(numbers: ReadonlyMap<string, number>, count: number): string[] {
  return Array.from(numbers)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, count)
    .map(([id]) => id);
}

/** The matches that can still come among the first: the best 60 by score = b + hop·v·(.4 + b). */
export function shortlist(matches: Match[], { hops, format }: Paths): string[] {
  const scores = Array.from(baseScores(matches), ([id, b]): [string, number] => [
    id,
    scoreOf(b, (hops.get(id) ?? 0) * habits[format].hop),
  ]);
  return highest(new Map(scores), weights.depth);
}

/**
 * The order of the passages: by score, with coverage. Of the shortlist they are chosen greedily; what a chosen passage
 * says of the query counts less in the ones after it, so the second hop is not pushed out by echoes of the first.
 */
export function rank(matches: Match[], paths: Paths, k: number): Ranked[] {
  const most = mostOf(matches);
  const byId = new Map(matches.map((match) => [match.id, match]));
  const pool = new Map<string, Match>();
  for (const id of shortlist(matches, paths)) {
    const match = byId.get(id);
    if (match) pool.set(id, match);
  }
  const tops = bestShares(Array.from(pool.values()));
  const cover = tops.map(() => 1);

  const chosen: Ranked[] = [];
  while (chosen.length < k && pool.size > 0) {
    const judged = Array.from(pool.values(), (match) => judge(match, { most, cover, paths }));
    const next = judged.reduce((best, one) => (one.score > best.score ? one : best));
    const { shares } = byId.get(next.id) ?? { shares: [] };
    pool.delete(next.id);
    chosen.push(next);
    for (const [term, top] of tops.entries()) {
      if (top > 0) cover[term] = (cover[term] ?? 1) * (1 - habits[paths.format].spent * ((shares[term] ?? 0) / top));
    }
  }
  return chosen;
}

type Standing = { most: number; cover: number[]; paths: Paths };

function judge({ id, shares, named }: Match, { most, cover, paths }: Standing): Ranked {
  const b = shares.reduce((total, share, term) => total + share * (cover[term] ?? 1), 0) / most + named;
  const v = paths.hops.get(id) ?? 0;
  const covers = shares.flatMap((share, term) => (share > 0 ? [term] : []));
  return { id, b, v, score: scoreOf(b, v * habits[paths.format].hop), covers };
}

function scoreOf(b: number, hop: number): number {
  return b + hop * (weights.hopFloor + b);
}

/** The best BM25 of all, the unit of the base scores. */
function mostOf(matches: Match[]): number {
  return Math.max(...matches.map(({ shares }) => sum(shares)), Number.MIN_VALUE);
}

function bestShares(matches: Match[]): number[] {
  const tops: number[] = [];
  for (const { shares } of matches) {
    for (const [term, share] of shares.entries()) tops[term] = Math.max(tops[term] ?? 0, share);
  }
  return tops;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
