import { createHash } from "node:crypto";
import type { Handler } from "../../bus/handler.ts";
import { jsonArtifact } from "../../contracts/artifact.ts";
import { type DocumentDraft, IndexArtifact, IndexRequest, IndexResult } from "../../contracts/knowledge.ts";
import { digestOf, recipe } from "../../rules/digest.ts";
import type { Database } from "../../store/database.ts";
import {
  closeCollection,
  type DocumentRow,
  hashesOf,
  insertDocuments,
  openCollection,
  removeDocuments,
  termsIn,
} from "../../store/knowledge.ts";

/**
 * Adds, replaces and removes documents of a collection, all in one transaction. A second attempt changes nothing.
 *
 * in     IndexRequest: documents to add or replace by id, ids to remove
 * out    IndexResult: how many were added, replaced, unchanged, deleted, and what the collection holds now
 * next   none: it answers and ends the trace
 * fails  never by itself; a database that cannot be reached is tried again
 */
export const index: Handler<IndexRequest, IndexResult> = {
  role: "rag.index",
  accepts: IndexRequest,
  answers: IndexResult,

  async handle({ tenant, payload }, { sql, signal, keep }) {
    const began = performance.now();
    const documents = payload.documents.map(storable);
    const removed = payload.delete.map(wellFormed);
    signal.throwIfAborted();
    const counts = await apply(sql, { tenant, name: payload.collection, documents, removed });
    const result: IndexResult = { collection: payload.collection, ...counts, took_ms: performance.now() - began };

    const artifact: IndexArtifact = {
      request: {
        collection: payload.collection,
        documents: documents.map(({ id, text }) => ({ id, characters: text.length })),
        delete: removed,
      },
      result,
    };
    await keep(jsonArtifact("rag", "index.json", "rag.index/1", IndexArtifact.parse(artifact)));
    return { result, answer: { text: told(result), verdict: null, citations: [], provider: null, replay: false } };
  },
};

type Wish = { tenant: string; name: string; documents: DocumentDraft[]; removed: string[] };

async function apply(sql: Database, { tenant, name, documents, removed }: Wish) {
  return sql.begin(async (tx) => {
    const place = { tenant, collection: await openCollection(tx, tenant, name) };
    const hashes = await hashesOf(
      tx,
      place,
      documents.map(({ id }) => id),
    );
    const rows = documents.filter((one) => hashes.get(one.id) !== hashOf(one)).map(rowOf);
    const replaced = rows.filter(({ documentId }) => hashes.has(documentId));

    const gone = await removeDocuments(tx, place, [...removed, ...replaced.map(({ documentId }) => documentId)]);
    await insertDocuments(tx, place, rows);
    const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
    const now = await closeCollection(tx, place, {
      documents: rows.length - gone.length,
      chunks: sum(rows.map(({ chunks }) => chunks.length)) - sum(gone.map(({ chunks }) => chunks)),
      terms: sum(rows.map(termsIn)) - sum(gone.map(({ terms }) => terms)),
    });

    const goneIds = new Set(gone.map(({ documentId }) => documentId));
    return {
      added: rows.length - replaced.length,
      replaced: replaced.length,
      unchanged: documents.length - rows.length,
      deleted: gone.length - replaced.length,
      missing: removed.filter((id) => !goneIds.has(id)),
      documents: now.documents,
      chunks: now.chunks,
    };
  });
}

function rowOf(document: DocumentDraft): DocumentRow {
  const { title, chunks } = digestOf(document);
  return {
    documentId: document.id,
    title,
    format: document.format,
    text: document.text,
    hash: hashOf(document),
    chunks,
  };
}

function hashOf({ title, format, text }: DocumentDraft): string {
  return createHash("sha256")
    .update(JSON.stringify([recipe, title, format, text]))
    .digest("hex");
}

/** Without the two things Postgres cannot keep, NUL and half a surrogate pair; every place in the text stays. */
function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

function storable({ id, title, text, format }: DocumentDraft): DocumentDraft {
  return { id: wellFormed(id), title: title && wellFormed(title), text: wellFormed(text), format };
}

function told({ collection, added, replaced, unchanged, deleted, missing, documents, chunks }: IndexResult): string {
  const parts = [
    [added, "added"],
    [replaced, "replaced"],
    [unchanged, "unchanged"],
    [deleted, "deleted"],
    [missing.length, "not there to delete"],
  ] as const;
  const done = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `${collection}: ${done.join(", ")}; it now holds ${documents} documents in ${chunks} chunks.`;
}
