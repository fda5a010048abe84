import type { Hop } from "../contracts/knowledge.ts";
import { candidatesIn, longestOf, type Mention, nameOf } from "./names.ts";
import { sentencesOf } from "./sentences.ts";
import { termsOf } from "./tokens.ts";

/** A query as the ranking sees it. `idf` stands beside its term; `names` are all names the query could use. */
export type Question = { terms: string[]; idf: number[]; names: ReadonlySet<string> };

/** A passage from which one hop is made. `b` is its base score, `own` the title or heading it goes by. */
export type Seed = { id: string; own: string; text: string; b: number };

/** A sentence of a seed: how much of the question it says beyond the seed's title (0..1), and whom it may mention. */
export type Clue = { seed: Seed; sentence: string; rel: number; candidates: Mention[] };

/** A passage one hop away: called by `name` (`titled`) or mentioning it (`shared`). */
export type Neighbour = {
  name: string;
  id: string;
  kind: "titled" | "shared";
  strength: number;
  sharing: number; // how many passages are called so, or mention it
  mentioned: number; // how many passages mention it at all, counted up to a cap
};

/** How strongly a hop recommends a passage, and the hop. */
export type Bridge = { v: number; hop: Hop };

const weights = { floor: 0.2, shared: 0.3, hub: 20 };

/** The sentences of the seeds with what they mention. The names are looked up among the neighbours afterwards. */
export function cluesOf(seeds: Seed[], question: Question): Clue[] {
  return seeds.flatMap((seed) => {
    const titled = new Set(termsOf(seed.own));
    return sentencesOf(seed.text).map(({ from, to }) => {
      const sentence = seed.text.slice(from, to);
      const candidates = candidatesIn(sentence).filter(({ name }) => !question.names.has(name));
      return { seed, sentence, rel: coverOf(sentence, question, titled), candidates };
    });
  });
}

/** The names to look up: whatever the clues may mention, and what the seeds themselves are called. */
export function namesToLookUp(clues: Clue[]): string[] {
  const names = clues.flatMap(({ seed, candidates }) => [nameOf(seed.own), ...candidates.map(({ name }) => name)]);
  return Array.from(new Set(names)).filter((name) => name !== "");
}

/**
 * The best hop to each neighbouring passage. A passage called by a name that a seed's sentence mentions gets
 * v = b · (.2 + rel) · strength / √sharing, less when everybody mentions that name (1 / √(1 + mentioned / 20)); one that
 * mentions the same name, or the seed's title, three tenths of it.
 */
export function bridgesOf(clues: Clue[], neighbours: Neighbour[]): Map<string, Bridge> {
  const byName = new Map<string, Neighbour[]>();
  for (const one of neighbours) byName.set(one.name, [...(byName.get(one.name) ?? []), one]);
  const titles = new Set(neighbours.filter(({ kind }) => kind === "titled").map(({ name }) => name));
  const best = new Map<string, Bridge>();
  const offer = (id: string, { v, hop }: Bridge) => {
    if (id !== hop.chunk_id && v > (best.get(id)?.v ?? 0)) best.set(id, { v, hop });
  };

  for (const { seed, sentence, rel, candidates } of clues) {
    const base = seed.b * (weights.floor + rel);
    const from = { chunk_id: seed.id, title: seed.own };
    const known = candidates.filter(({ name }) => titles.has(name));
    const mentioned = new Set([...longestOf(known), ...unless(known, candidates)].map(({ name }) => name));
    for (const name of mentioned) {
      for (const { id, kind, strength, sharing, mentioned: hub } of byName.get(name) ?? []) {
        const trust = kind === "titled" ? strength / Math.sqrt(1 + hub / weights.hub) : weights.shared;
        const v = (base * trust) / Math.sqrt(sharing);
        offer(id, { v, hop: { ...from, sentence, name, kind } });
      }
    }
  }
  for (const seed of new Set(clues.map((clue) => clue.seed))) {
    const name = nameOf(seed.own);
    for (const { id, kind, sharing } of byName.get(name) ?? []) {
      if (kind !== "shared") continue;
      const v = (weights.shared * seed.b * weights.floor) / Math.sqrt(sharing);
      offer(id, { v, hop: { chunk_id: seed.id, title: seed.own, sentence: null, name, kind: "back" } });
    }
  }
  return best;
}

/** The candidates that lie in no known name: `York` does not count in `New York`. */
function unless(known: Mention[], candidates: Mention[]): Mention[] {
  return candidates.filter((one) => known.every(({ from, to }) => one.to <= from || one.from >= to));
}

/** The share of the question's idf that a text covers, terms in `without` not counted. */
export function coverOf(text: string, { terms, idf }: Question, without: ReadonlySet<string> = new Set()): number {
  const said = new Set(termsOf(text));
  let covered = 0;
  let whole = 0;
  for (const [index, term] of terms.entries()) {
    const weight = idf[index] ?? 0;
    whole += weight;
    if (said.has(term) && !without.has(term)) covered += weight;
  }
  return whole === 0 ? 0 : covered / whole;
}
