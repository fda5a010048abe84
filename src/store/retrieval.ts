import { part, type Sql } from "./database.ts";

/** What is searched: one tenant's collection, or all of them. Every read below stays inside it. */
export type Scope = { tenant: string; collection: string | null }; // collection: its name; null: all

/** The parameters of BM25. */
export type Bm25 = { k1: number; b: number };

/** A chunk by its own words: its BM25 weight for each query term, in their order. */
export type TermMatch = { chunkId: string; shares: number[] };

/** A name that was looked up, and a chunk that has it. Counts stop at the caps below. */
export type NameMatch = {
  name: string;
  chunkId: string;
  kind: "titled" | "shared"; // it goes by that name, or mentions it
  strength: number; // of the alias; 1 for a mention
  sharing: number; // chunks that have the name in the same way
  mentioned: number; // chunks that mention it
};

/** A chunk with its document. */
export type ChunkRow = {
  chunkId: string;
  collection: string;
  documentId: string;
  ordinal: number;
  title: string;
  format: "markdown" | "text";
  section: string;
  from: number;
  to: number;
  text: string;
};

/** A name that more chunks share says nothing. */
const sharingCap = 30;
const mentionedCap = 200;

/** The weight of a posting: BM25 (Robertson and Zaragoza 2009), computed when asked, because idf and mean move. */
const weight = ({ k1, b }: Bm25) =>
  part`(idf * tf * (${k1}::float8 + 1) / (tf + ${k1}::float8 * (1 - ${b}::float8 + ${b}::float8 * length / mean)))`;

const collections = ({ tenant, collection }: Scope) =>
  part`select id, chunks, terms
      from knowledge_collections
      where tenant = ${tenant} and (${collection}::text is null or name = ${collection})`;

/*
 * Every look-up below goes term by term, name by name or chunk by chunk through an index: `lateral … offset 0` says so
 * to a planner that has no statistics yet and would otherwise read all of a collection just after it was filled.
 */

/** The best `limit` chunks for these terms, and how rare each term is in the scope (idf; never below 0). */
export async function matchTerms(
  sql: Sql,
  scope: Scope,
  { terms, limit, bm25 }: { terms: string[]; limit: number; bm25: Bm25 },
): Promise<{ matches: TermMatch[]; idf: number[] }> {
  const rows = await sql<{ chunkId: string | null; places: number[]; weights: number[] }[]>`
    with inside as materialized (${collections(scope)}),
    whole as (
      select coalesce(sum(chunks), 0)::float8 as n, (sum(terms) / greatest(sum(chunks), 1))::float8 as mean
      from inside
    ),
    asked as (
      select term, place::integer
      from unnest(${terms}::text[]) with ordinality as t(term, place)
    ),
    held as materialized (
      select a.place, p.chunk_id, p.tf, p.length
      from asked a
      cross join lateral (
        select chunk_id, tf, length
        from knowledge_postings
        where tenant = ${scope.tenant} and term = a.term and collection_id = any (array(select id from inside))
        offset 0
      ) p
    ),
    rarity as materialized (
      select a.place, ln(1 + (w.n - count(h.place) + 0.5) / (count(h.place) + 0.5)) as idf
      from asked a
      cross join whole w
      left join held h on h.place = a.place
      group by a.place, w.n
    ),
    weighed as materialized (
      select h.chunk_id, h.place, ${weight(bm25)} as weight
      from held h
      join rarity r on r.place = h.place
      cross join whole w
    ),
    best as (
      select chunk_id
      from weighed
      group by chunk_id
      order by sum(weight) desc, chunk_id
      limit ${limit}
    )
    select chunk_id as "chunkId", array_agg(place) as places, array_agg(weight) as weights
    from best
    join weighed using (chunk_id)
    group by chunk_id
    union all
    select null, array_agg(place), array_agg(idf)
    from rarity`;
  const idf = spread(
    rows.find(({ chunkId }) => chunkId === null),
    terms.length,
  );
  const matches = rows.flatMap(({ chunkId, ...row }) =>
    chunkId === null ? [] : [{ chunkId, shares: spread(row, terms.length) }],
  );
  return { matches, idf };
}

/** The weight of each term in these chunks, for those that were not among the best. */
export async function weighChunks(
  sql: Sql,
  scope: Scope,
  { ids, terms, idf, bm25 }: { ids: string[]; terms: string[]; idf: number[]; bm25: Bm25 },
): Promise<TermMatch[]> {
  if (ids.length === 0) return [];
  const rows = await sql<{ chunkId: string; places: number[]; weights: number[] }[]>`
    with inside as materialized (${collections(scope)}),
    whole as (
      select (sum(terms) / greatest(sum(chunks), 1))::float8 as mean
      from inside
    )
    select p.chunk_id as "chunkId", array_agg(a.place::integer) as places, array_agg(${weight(bm25)}) as weights
    from knowledge_chunks c
    cross join unnest(${terms}::text[], ${idf}::float8[]) with ordinality as a(term, idf, place)
    cross join lateral (
      select chunk_id, tf
      from knowledge_postings
      where tenant = ${scope.tenant} and term = a.term and collection_id = c.collection_id and chunk_id = c.id
      offset 0
    ) p
    cross join whole
    where c.tenant = ${scope.tenant} and c.id = any (${ids}::bigint[])
      and c.collection_id = any (array(select id from inside))
    group by p.chunk_id`;
  const found = new Map(rows.map(({ chunkId, ...row }) => [chunkId, spread(row, terms.length)]));
  return ids.map((chunkId) => ({ chunkId, shares: found.get(chunkId) ?? spread(undefined, terms.length) }));
}

/** The chunks that go by one of these names (at most 30 a name, or none of them). */
export async function namedChunks(sql: Sql, scope: Scope, names: string[]): Promise<NameMatch[]> {
  if (names.length === 0) return [];
  return sql<NameMatch[]>`
    with inside as materialized (${collections(scope)})
    select n.name, a.chunk_id as "chunkId", 'titled' as kind, a.strength::float8, a.sharing, m.mentioned
    from unnest(${names}::text[]) as n(name)
    cross join lateral (
      select chunk_id, strength, (count(*) over ())::integer as sharing
      from (
        select chunk_id, strength
        from knowledge_aliases
        where tenant = ${scope.tenant} and name = n.name and collection_id = any (array(select id from inside))
        limit ${sharingCap + 1}
      ) called
    ) a
    cross join lateral (
      select count(*)::integer as mentioned
      from (
        select from knowledge_mentions
        where tenant = ${scope.tenant} and name = n.name and collection_id = any (array(select id from inside))
        limit ${mentionedCap}
      ) said
    ) m
    where a.sharing <= ${sharingCap}`;
}

/** The chunks that mention one of these names (2 to 30 a name, or none of them). */
export async function mentioningChunks(sql: Sql, scope: Scope, names: string[]): Promise<NameMatch[]> {
  if (names.length === 0) return [];
  return sql<NameMatch[]>`
    with inside as materialized (${collections(scope)})
    select n.name, m.chunk_id as "chunkId", 'shared' as kind, 1 as strength, m.sharing, m.sharing as mentioned
    from unnest(${names}::text[]) as n(name)
    cross join lateral (
      select chunk_id, (count(*) over ())::integer as sharing
      from (
        select chunk_id
        from knowledge_mentions
        where tenant = ${scope.tenant} and name = n.name and collection_id = any (array(select id from inside))
        limit ${sharingCap + 1}
      ) said
    ) m
    where m.sharing between 2 and ${sharingCap}`;
}

/** These chunks with their documents, in no order; what is not the tenant's is not there. */
export async function chunksOf(sql: Sql, { tenant }: Scope, ids: string[]): Promise<ChunkRow[]> {
  if (ids.length === 0) return [];
  return sql<ChunkRow[]>`
    select c.id as "chunkId", k.name as collection, d.document_id as "documentId", c.ordinal, d.title, d.format, c.section,
           c.span_from as "from", c.span_to as "to", c.text
    from knowledge_chunks c
    join knowledge_documents d on d.id = c.document and d.tenant = ${tenant}
    join knowledge_collections k on k.id = c.collection_id and k.tenant = ${tenant}
    where c.tenant = ${tenant} and c.id = any (${ids}::bigint[])`;
}

/** `weights` at their `places` (1..) among `length` zeros. */
function spread(row: { places: number[]; weights: number[] } | undefined, length: number): number[] {
  const shares = Array.from({ length }, () => 0);
  for (const [index, place] of (row?.places ?? []).entries()) shares[place - 1] = row?.weights[index] ?? 0;
  return shares;
}
