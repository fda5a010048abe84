import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { IndexArtifact, IndexRequest } from "../../../src/contracts/knowledge.ts";
import { index } from "../../../src/services/rag/index.ts";
import { message, openWorld, type World } from "../../support/world.ts";

describe("rag.index", () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await world.sql`insert into tenants (id) values ('acme')`;
  });
  afterAll(() => world.close());
  beforeEach(() => world.sql`truncate knowledge_collections, knowledge_documents, knowledge_chunks cascade`);

  const send = (body: unknown, tenant = "local") =>
    index.handle(message(IndexRequest.parse(body), { tenant }), world.tools);

  /** All that is stored, without the numbers that rows happen to have and the time they were written. */
  type Content = { tenant: string; section: string; text: string; chunk: string; span_from: number; span_to: number };
  const contents = () => world.sql<Content[]>`
    select c.tenant, c.name, c.documents, c.chunks, c.terms, d.document_id, d.title, d.hash, d.text,
           k.ordinal, k.section, k.span_from, k.span_to, k.text as chunk, k.length,
           (select jsonb_object_agg(term, jsonb_build_array(tf, length, collection_id = c.id)) from knowledge_postings
            where chunk_id = k.id) as postings,
           (select jsonb_object_agg(name, strength) from knowledge_aliases where chunk_id = k.id) as aliases,
           (select jsonb_agg(name order by name) from knowledge_mentions where chunk_id = k.id) as mentions
    from knowledge_collections c
    left join knowledge_documents d on d.collection_id = c.id
    left join knowledge_chunks k on k.document = d.id
    order by c.tenant, c.name, d.document_id, k.ordinal`;

  const limit = {
    id: "Server.md",
    text: "# Server\n\n## bodyLimit\n\nSets the limit, see `Reply`.\n",
    format: "markdown",
  };
  const dice = { id: "dice", title: "Demon Dice", text: "A game of Lester Smith.", format: "text" };

  test("stores documents in chunks and says what the collection holds", async () => {
    const { result, answer } = await send({ collection: "manual", documents: [limit, dice] });

    expect(result).toMatchObject({ added: 2, replaced: 0, unchanged: 0, deleted: 0, documents: 2, chunks: 2 });
    expect(result.took_ms).toBeGreaterThan(0);
    expect(answer).toMatchObject({ citations: [], verdict: null, replay: false });
    expect(answer?.text).toBe("manual: 2 added; it now holds 2 documents in 2 chunks.");
    const rows = await contents();
    expect(rows.map(({ section, chunk }) => [section, chunk])).toEqual([
      ["Server > bodyLimit", "Sets the limit, see `Reply`."],
      ["", "A game of Lester Smith."],
    ]);
  });

  test("keeps rag/index.json, without the texts", async () => {
    world.kept.length = 0;
    await send({ collection: "manual", documents: [limit] });

    const [artifact] = world.kept;
    expect(artifact).toMatchObject({ kind: "rag", name: "index.json", schema: "rag.index/1" });
    const { request } = IndexArtifact.parse(JSON.parse(String(artifact?.content)));
    expect(request.documents).toEqual([{ id: "Server.md", characters: limit.text.length }]);
  });

  test("does nothing a second time: a retried attempt leaves the same rows", async () => {
    await send({ collection: "manual", documents: [limit, dice] });
    const before = await contents();
    const numbers = await world.sql`select id from knowledge_chunks order by id`;
    const { result } = await send({ collection: "manual", documents: [limit, dice] });

    expect(result).toMatchObject({ added: 0, unchanged: 2, documents: 2 });
    expect(await contents()).toEqual(before);
    expect(await world.sql`select id from knowledge_chunks order by id`).toEqual(numbers);
  });

  test("replaces a document by its id, with all that came of it", async () => {
    await send({ collection: "manual", documents: [limit] });
    const { result } = await send({ collection: "manual", documents: [{ ...limit, text: "# Server\n\nNothing." }] });

    expect(result).toMatchObject({ added: 0, replaced: 1, documents: 1, chunks: 1 });
    expect(await world.sql`select 1 from knowledge_postings where term = 'bodylimit'`).toHaveLength(0);
  });

  test("deletes, says what was not there, and an empty collection is gone", async () => {
    await send({ collection: "manual", documents: [limit] });
    const { result, answer } = await send({ collection: "manual", delete: ["Server.md", "never"] });

    expect(result).toMatchObject({ deleted: 1, missing: ["never"], documents: 0, chunks: 0 });
    expect(answer?.text).toContain("1 not there to delete");
    expect(await contents()).toEqual([]);
    for (const table of ["postings", "aliases", "mentions", "chunks", "documents"]) {
      expect(await world.sql.unsafe(`select 1 from knowledge_${table}`)).toHaveLength(0);
    }
  });

  test("the index after adding and deleting equals the index before, in whatever order", async () => {
    const word = fc.constantFrom(
      "limit",
      "Émile Zola",
      "bodyLimit",
      "# Head\n",
      "\n\n",
      "Server.",
      "東京",
      "\0",
      "\ud800",
    );
    const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(" "));
    const document = (id: string) =>
      fc.record({ id: fc.constant(id), text, format: fc.constantFrom("markdown", "text") });
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(document("a"), document("b")),
        fc.tuple(document("c"), document("d")),
        document("b"),
        async (kept, added, other) => {
          await world.sql`truncate knowledge_collections, knowledge_documents, knowledge_chunks cascade`;
          await send({ collection: "manual", documents: kept });
          const before = await contents();
          await send({ collection: "manual", documents: [...added, other] });
          await send({ collection: "manual", documents: [kept[1]], delete: ["d"] });
          await send({ collection: "manual", delete: ["c"] });

          expect(await contents()).toEqual(before);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("the sums of a collection are those of its chunks, and places are exact, after everything", async () => {
    await send({ collection: "manual", documents: [limit, dice, { id: "x", text: "Ünïcode 😀 words.\n\nMore 😀." }] });
    await send({ collection: "manual", documents: [{ ...dice, text: "Two words." }], delete: ["Server.md"] });

    const [sums] = await world.sql`
      select c.documents, c.chunks, c.terms::int, count(k.id)::int as counted, sum(k.length)::int as length
      from knowledge_collections c join knowledge_chunks k on k.collection_id = c.id
      group by c.id`;
    expect(sums).toMatchObject({ documents: 2, chunks: sums?.counted, terms: sums?.length });
    for (const { text, chunk, span_from, span_to } of await contents()) {
      expect(text.slice(span_from, span_to)).toBe(chunk);
    }
  });

  test("two writers of one collection take turns", async () => {
    const writers = Array.from({ length: 6 }, (_, at) =>
      send({ collection: "manual", documents: [{ ...dice, id: `d${at}` }, limit] }),
    );
    await Promise.all(writers);

    expect(await world.sql`select documents, chunks from knowledge_collections`).toEqual([{ documents: 7, chunks: 7 }]);
  });

  test("keeps the same names of two tenants apart", async () => {
    await send({ collection: "manual", documents: [dice] });
    await send({ collection: "manual", documents: [{ ...dice, text: "Ours." }] }, "acme");
    await send({ collection: "manual", delete: ["dice"] }, "acme");

    const rows = await contents();
    expect(rows.map(({ tenant, chunk }) => [tenant, chunk])).toEqual([["local", "A game of Lester Smith."]]);
  });

  test("all of a request happens or nothing", async () => {
    await send({ collection: "manual", documents: [dice] });
    const before = await contents();
    const broken = { ...message(IndexRequest.parse({ collection: "manual", documents: [limit], delete: ["dice"] })) };
    const refused = world.sql`alter table knowledge_mentions add constraint refuse check (name <> 'reply')`;
    await refused;

    await expect(index.handle(broken, world.tools)).rejects.toThrow(/refuse/);
    await world.sql`alter table knowledge_mentions drop constraint refuse`;
    expect(await contents()).toEqual(before);
  });

  test.each([
    [{ collection: "manual" }, "documents"],
    [{ collection: "no spaces here", documents: [dice] }, "collection"],
    [{ collection: "manual", documents: [dice, dice] }, "documents.1.id"],
    [{ collection: "manual", documents: [dice], delete: ["dice"] }, "documents.0.id"],
    [{ collection: "manual", documents: [{ ...dice, format: "pdf" }] }, "documents.0.format"],
    [{ collection: "manual", documents: [{ id: "", text: "x" }] }, "documents.0.id"],
  ])("a request that cannot be carried out is refused at the door: %j", (body, path) => {
    expect(IndexRequest.safeParse(body).error?.issues.map((issue) => issue.path.join("."))).toContain(path);
  });
});
