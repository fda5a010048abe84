import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bm25, idfOf } from "../../src/rules/rank.ts";
import { closeCollection, type DocumentRow, insertDocuments, openCollection } from "../../src/store/knowledge.ts";
import { chunksOf, matchTerms, mentioningChunks, namedChunks, weighChunks } from "../../src/store/retrieval.ts";
import { openWorld, type World } from "../support/world.ts";

const row = (documentId: string, words: string, names: { called?: string; mentions?: string[] } = {}): DocumentRow => {
  const terms = new Map<string, number>();
  for (const word of words.split(" ")) terms.set(word, (terms.get(word) ?? 0) + 1);
  const length = words.split(" ").length;
  const aliases = names.called ? [{ name: names.called, strength: 0.5 }] : [];
  const chunk = { ordinal: 0, section: "", from: 0, to: words.length, length, terms, aliases };
  const chunks = [{ ...chunk, mentions: names.mentions ?? [] }];
  return { documentId, title: documentId, format: "text", text: words, hash: "h", chunks };
};

describe("the index", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('acme')`;
    await fill("local", "a", [
      row("one", "body limit body", { called: "limit", mentions: ["proxy", "hub"] }),
      row("two", "limit of a proxy", { called: "proxy", mentions: ["proxy", "hub"] }),
      row("three", "nothing of it"),
      ...Array.from({ length: 31 }, (_, at) => row(`hub${at}`, "filler", { called: "many", mentions: ["hub"] })),
    ]);
    await fill("local", "b", [row("other", "body of water in a lake", { called: "limit" })]);
    await fill("acme", "a", [row("theirs", "body limit", { called: "limit", mentions: ["proxy"] })]);
  });
  afterAll(() => world.close());

  const fill = (tenant: string, name: string, documents: DocumentRow[]) =>
    world.sql.begin(async (tx) => {
      const place = { tenant, collection: await openCollection(tx, tenant, name) };
      await insertDocuments(tx, place, documents);
      const terms = documents.flatMap(({ chunks }) => chunks).reduce((total, { length }) => total + length, 0);
      await closeCollection(tx, place, { documents: documents.length, chunks: documents.length, terms });
    });

  const inA = { tenant: "local", collection: "a" };
  const everywhere = { tenant: "local", collection: null };
  const ids = async (chunks: { chunkId: string }[]) => {
    const rows = await chunksOf(
      world.sql,
      everywhere,
      chunks.map(({ chunkId }) => chunkId),
    );
    return rows.map(({ documentId }) => documentId).sort();
  };

  test("weighs terms by BM25 over the chunks of the scope, and by nothing outside it", async () => {
    const terms = ["body", "limit", "absent"];
    const { matches, idf } = await matchTerms(world.sql, inA, { terms, limit: 10, bm25 });

    expect(idf).toEqual([idfOf(34, 1), idfOf(34, 2), idfOf(34, 0)].map((one) => expect.closeTo(one, 10)));
    expect(await ids(matches)).toEqual(["one", "two"]);
    const mean = (3 + 4 + 3 + 31) / 34;
    const norm = bm25.k1 * (1 - bm25.b + (bm25.b * 3) / mean);
    const weight = (tf: number, rarity: number) => (rarity * tf * (bm25.k1 + 1)) / (tf + norm);
    expect(matches.map(({ shares }) => shares)).toContainEqual([
      expect.closeTo(weight(2, idfOf(34, 1)), 10),
      expect.closeTo(weight(1, idfOf(34, 2)), 10),
      0,
    ]);
  });

  test("weighs given chunks as it weighs the best ones", async () => {
    const terms = ["limit", "body"];
    const { matches, idf } = await matchTerms(world.sql, inA, { terms, limit: 10, bm25 });
    const again = await weighChunks(world.sql, inA, { ids: matches.map(({ chunkId }) => chunkId), terms, idf, bm25 });

    expect(new Map(again.map((one) => [one.chunkId, one.shares]))).toEqual(
      new Map(matches.map((one) => [one.chunkId, one.shares.map((share) => expect.closeTo(share, 10))])),
    );
  });

  test("gives only as many as were wanted, the best", async () => {
    const { matches } = await matchTerms(world.sql, everywhere, { terms: ["body"], limit: 1, bm25 });

    expect(await ids(matches)).toEqual(["one"]);
  });

  test("a name leads to the tenant's own chunks only, inside the scope only", async () => {
    expect(await ids(await namedChunks(world.sql, inA, ["limit"]))).toEqual(["one"]);
    expect(await ids(await namedChunks(world.sql, everywhere, ["limit"]))).toEqual(["one", "other"]);
    expect(await namedChunks(world.sql, { tenant: "acme", collection: "b" }, ["limit"])).toEqual([]);
    expect(await namedChunks(world.sql, inA, ["limit"])).toMatchObject([{ strength: 0.5, sharing: 1, mentioned: 0 }]);
  });

  test("what everybody shares leads nowhere, and neither does what only one mentions", async () => {
    expect(await namedChunks(world.sql, inA, ["many"])).toEqual([]);
    expect(await ids(await mentioningChunks(world.sql, inA, ["hub", "proxy", "nobody"]))).toEqual(["one", "two"]);
    expect(await mentioningChunks(world.sql, { tenant: "acme", collection: null }, ["proxy"])).toEqual([]);
  });

  test("a chunk of another tenant is not read, though its id is known", async () => {
    const { matches } = await matchTerms(
      world.sql,
      { tenant: "acme", collection: null },
      {
        terms: ["body"],
        limit: 9,
        bm25,
      },
    );
    const known = matches.map(({ chunkId }) => chunkId);

    expect(known).toHaveLength(1);
    expect(await chunksOf(world.sql, everywhere, known)).toEqual([]);
    const [weighed] = await weighChunks(world.sql, everywhere, { ids: known, terms: ["body"], idf: [1], bm25 });
    expect(weighed?.shares).toEqual([0]);
  });

  test("the database itself refuses a name that points at another tenant's chunk", async () => {
    const wrong = world.sql`
      insert into knowledge_aliases (tenant, name, collection_id, chunk_id, strength)
      select 'acme', 'stolen', collection_id, id, 1 from knowledge_chunks where tenant = 'local' limit 1`;

    await expect(wrong).rejects.toThrow(/foreign key/);
  });

  test("no table is open to a role without the service's rights", async () => {
    const open = await world.sql`
      select relname from pg_class
      where relname like 'knowledge\\_%' and relkind = 'r' and not relrowsecurity`;

    expect(open).toEqual([]);
    expect(await world.sql`select 1 from pg_policies where tablename like 'knowledge\\_%'`).toEqual([]);
  });
});
