import { z } from "zod";
import { Citation } from "./message.ts";
import { Work } from "./work.ts";

/** A named set of documents of one tenant. */
export const Collection = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/i, "is letters, digits, dots, dashes and underscores, at most 100");
export type Collection = z.infer<typeof Collection>;

const DocumentId = z.string().min(1).max(500);

/** A document as it is handed in. `id` is the caller's own, unique in the collection: a path, a URL, a number. */
export const DocumentDraft = z.strictObject({
  id: DocumentId,
  title: z.string().min(1).max(500).nullable().default(null), // null: found in the text, or else the id
  text: z.string().max(2_000_000), // characters
  format: z.enum(["markdown", "text"]).default("markdown"),
});
export type DocumentDraft = z.infer<typeof DocumentDraft>;

/** What rag.index is asked: documents to add or to replace by id, and ids to remove. All of it happens, or nothing. */
export const IndexRequest = z
  .strictObject({
    collection: Collection,
    documents: z.array(DocumentDraft).max(1000).default([]),
    delete: z.array(DocumentId).max(10_000).default([]),
  })
  .superRefine(({ documents, delete: removed }, context) => {
    const seen = new Set(removed);
    for (const [index, { id }] of documents.entries()) {
      if (seen.has(id)) {
        const message = `the id ${id} is named twice in one request`;
        context.addIssue({ code: "custom", path: ["documents", index, "id"], message });
      }
      seen.add(id);
    }
    if (seen.size === 0)
      context.addIssue({ code: "custom", path: ["documents"], message: "is empty, and so is delete" });
  });
export type IndexRequest = z.infer<typeof IndexRequest>;

const Count = z.number().int().nonnegative();

/** What became of an index request, and what the collection holds after it. */
export const IndexResult = z.object({
  collection: Collection,
  added: Count, // documents that were new
  replaced: Count,
  unchanged: Count, // the same text, title and format as before: nothing was done
  deleted: Count,
  missing: z.array(z.string()), // ids to delete that were not there
  documents: Count, // in the collection now
  chunks: Count,
  took_ms: z.number().nonnegative(),
});
export type IndexResult = z.infer<typeof IndexResult>;

/** What rag.query is asked. With `work` the passages become its grounding and it goes on; without, they are the answer. */
export const QueryRequest = z.strictObject({
  query: z.string().min(1).max(20_000), // characters
  collection: Collection.nullable().default(null), // null: all of the tenant's
  mode: z
    .enum(["auto", "local"], {
      error: 'is "auto" or "local"; "global" and "hybrid" need communities, which do not exist yet',
    })
    .default("auto"), // both search passages and one hop around them
  k: z.number().int().min(1).max(50).default(5), // passages wanted
  work: Work.nullable().default(null),
});
export type QueryRequest = z.infer<typeof QueryRequest>;

/** One hop of the way to a passage: `sentence` of a better passage mentions `name`. */
export const Hop = z.object({
  chunk_id: z.string(), // the passage it came from
  title: z.string(),
  sentence: z.string().nullable(), // null: the passages mention each other, no one sentence says why
  name: z.string(), // the entity both have in common
  kind: z.enum(["titled", "shared", "back"]), // called by that name, mentions it too, mentions the title of the other
});
export type Hop = z.infer<typeof Hop>;

/** A passage that was found. `span` is [from, to) of its document in UTF-16 units, `text` exactly those characters. */
export const Passage = z.object({
  chunk_id: z.string(), // document id # number of the chunk
  collection: Collection,
  document_id: z.string(),
  span: z.tuple([Count, Count]),
  title: z.string(), // of the document
  section: z.string(), // heading path; empty: before the first heading
  text: z.string(),
  score: z.number().nonnegative(), // comparable within one answer only
  reasons: z.array(z.string()).min(1),
  path: z.array(Hop), // empty: found by its own words
});
export type Passage = z.infer<typeof Passage>;

/** What rag.query found, best first. `provider` null: no model was used. */
export const QueryResult = z.object({
  results: z.array(Passage),
  citations: z.array(Citation),
  took_ms: z.number().nonnegative(),
  provider: z.string().nullable(),
});
export type QueryResult = z.infer<typeof QueryResult>;

/** `rag/index.json`: what was asked, without the texts, and what became of it. */
export const IndexArtifact = z.object({
  request: z.object({
    collection: Collection,
    documents: z.array(z.object({ id: z.string(), characters: Count })),
    delete: z.array(z.string()),
  }),
  result: IndexResult,
});
export type IndexArtifact = z.infer<typeof IndexArtifact>;

/** `rag/query.json`: what was asked, without the work it grounds, and what was found. */
export const QueryArtifact = z.object({
  request: QueryRequest.omit({ work: true }),
  result: QueryResult,
});
export type QueryArtifact = z.infer<typeof QueryArtifact>;
