import type { Sql, Transaction } from "./database.ts";

/** A document and all that is indexed of it. Spans are `[from, to)` in UTF-16 units. */
export type DocumentRow = {
  documentId: string;
  title: string;
  format: string;
  text: string;
  hash: string;
  chunks: {
    ordinal: number;
    section: string;
    from: number;
    to: number;
    length: number; // terms
    terms: ReadonlyMap<string, number>;
    aliases: { name: string; strength: number }[];
    mentions: string[];
  }[];
};

/** What a collection holds. */
export type CollectionRow = { id: string; documents: number; chunks: number; terms: number };

/** Where a document goes. */
export type Place = { tenant: string; collection: string }; // collection: its row's id

/** The names of a tenant's collections, the largest first. */
export async function collectionNames(sql: Sql, tenant: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select name from knowledge_collections where tenant = ${tenant}
    order by documents desc, name`;
  return rows.map(({ name }) => name);
}

/** The collection of that name, made when it is not there, and locked until the transaction ends. */
export async function openCollection(tx: Transaction, tenant: string, name: string): Promise<string> {
  const [row] = await tx<{ id: string }[]>`
    insert into knowledge_collections (tenant, name) values (${tenant}, ${name})
    on conflict (tenant, name) do update set name = excluded.name
    returning id`;
  return row?.id ?? "";
}

/** Brings the sums of a collection up by what was added, down by what was removed. An empty collection goes. */
export async function closeCollection(
  tx: Transaction,
  { tenant, collection }: Place,
  change: Omit<CollectionRow, "id">,
): Promise<Omit<CollectionRow, "id">> {
  const [row] = await tx<Omit<CollectionRow, "id">[]>`
    update knowledge_collections
    set documents = documents + ${change.documents}, chunks = chunks + ${change.chunks}, terms = terms + ${change.terms}
    where tenant = ${tenant} and id = ${collection}
    returning documents, chunks, terms::float8 as terms`;
  await tx`
    delete from knowledge_collections
    where tenant = ${tenant} and id = ${collection} and documents = 0`;
  return row ?? { documents: 0, chunks: 0, terms: 0 };
}

/** The hashes of those of these documents that are there. */
export async function hashesOf(sql: Sql, { tenant, collection }: Place, ids: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ documentId: string; hash: string }[]>`
    select document_id as "documentId", hash
    from knowledge_documents
    where tenant = ${tenant} and collection_id = ${collection} and document_id = any (${ids}::text[])`;
  return new Map(rows.map(({ documentId, hash }) => [documentId, hash]));
}

/** Removes documents with all that came of them. Answers what each had added to its collection. */
export async function removeDocuments(tx: Transaction, { tenant, collection }: Place, ids: string[]) {
  return tx<{ documentId: string; chunks: number; terms: number }[]>`
    delete from knowledge_documents
    where tenant = ${tenant} and collection_id = ${collection} and document_id = any (${ids}::text[])
    returning document_id as "documentId", chunks, terms::float8 as terms`;
}

/** Stores documents that are not there, with their chunks, postings, aliases and mentions: five statements in all. */
export async function insertDocuments(
  tx: Transaction,
  { tenant, collection }: Place,
  documents: DocumentRow[],
): Promise<void> {
  if (documents.length === 0) return;
  const stored = await tx<{ id: string; documentId: string }[]>`
    insert into knowledge_documents (tenant, collection_id, document_id, title, format, text, hash, chunks, terms)
    select ${tenant}, ${collection}::bigint, *
    from unnest(${documents.map(({ documentId }) => documentId)}::text[],
                ${documents.map(({ title }) => title)}::text[],
                ${documents.map(({ format }) => format)}::text[],
                ${documents.map(({ text }) => text)}::text[],
                ${documents.map(({ hash }) => hash)}::text[],
                ${documents.map(({ chunks }) => chunks.length)}::integer[],
                ${documents.map(termsIn)}::bigint[])
    returning id, document_id as "documentId"`;
  const rowOf = new Map(stored.map(({ id, documentId }) => [documentId, id]));

  const drafts = documents.flatMap(({ documentId, text, chunks }) =>
    chunks.map((chunk) => ({
      ...chunk,
      document: rowOf.get(documentId) ?? "",
      text: text.slice(chunk.from, chunk.to),
    })),
  );
  const kept = await tx<{ id: string; document: string; ordinal: number }[]>`
    insert into knowledge_chunks (tenant, collection_id, document, ordinal, section, span_from, span_to, text, length)
    select ${tenant}, ${collection}::bigint, *
    from unnest(${drafts.map(({ document }) => document)}::bigint[],
                ${drafts.map(({ ordinal }) => ordinal)}::integer[],
                ${drafts.map(({ section }) => section)}::text[],
                ${drafts.map(({ from }) => from)}::integer[],
                ${drafts.map(({ to }) => to)}::integer[],
                ${drafts.map(({ text }) => text)}::text[],
                ${drafts.map(({ length }) => length)}::integer[])
    returning id, document, ordinal`;
  const ids = new Map(kept.map(({ id, document, ordinal }) => [`${document}/${ordinal}`, id]));
  const chunks = drafts.map((draft) => ({ ...draft, id: ids.get(`${draft.document}/${draft.ordinal}`) ?? "" }));

  const postings = chunks.flatMap(({ id, length, terms }) =>
    Array.from(terms, ([term, tf]) => ({ id, length, term, tf })),
  );
  await tx`
    insert into knowledge_postings (tenant, collection_id, term, chunk_id, tf, length)
    select ${tenant}, ${collection}::bigint, *
    from unnest(${postings.map(({ term }) => term)}::text[],
                ${postings.map(({ id }) => id)}::bigint[],
                ${postings.map(({ tf }) => tf)}::integer[],
                ${postings.map(({ length }) => length)}::integer[])`;

  const aliases = chunks.flatMap(({ id, aliases }) => aliases.map((alias) => ({ id, ...alias })));
  await tx`
    insert into knowledge_aliases (tenant, collection_id, name, chunk_id, strength)
    select ${tenant}, ${collection}::bigint, *
    from unnest(${aliases.map(({ name }) => name)}::text[],
                ${aliases.map(({ id }) => id)}::bigint[],
                ${aliases.map(({ strength }) => strength)}::real[])`;

  const mentions = chunks.flatMap(({ id, mentions }) => mentions.map((name) => ({ id, name })));
  await tx`
    insert into knowledge_mentions (tenant, collection_id, name, chunk_id)
    select ${tenant}, ${collection}::bigint, *
    from unnest(${mentions.map(({ name }) => name)}::text[],
                ${mentions.map(({ id }) => id)}::bigint[])`;
}

/** What a document adds to the length of its collection. */
export function termsIn({ chunks }: Pick<DocumentRow, "chunks">): number {
  return chunks.reduce((total, { length }) => total + length, 0);
}
