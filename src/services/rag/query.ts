import type { Handler, Next } from "../../bus/handler.ts";
import { jsonArtifact } from "../../contracts/artifact.ts";
import type { DecideRequest } from "../../contracts/decision.ts";
import { type Passage, type QueryArtifact, QueryRequest, QueryResult } from "../../contracts/knowledge.ts";
import type { Answer } from "../../contracts/message.ts";
import type { Work } from "../../contracts/work.ts";
import { quoteFrom } from "../../rules/quote.ts";
import { collectionNames } from "../../store/knowledge.ts";
import { foundNothing, retrieve } from "./retrieve.ts";

/**
 * Finds the passages that answer a question, and quotes them or hands them to the work they are the ground of.
 *
 * in     QueryRequest: the question, the collection, how many passages, and the work that waits for them
 * out    QueryResult: the passages with score, reasons and the way that led to them, and the citations
 * next   with `work`: orchestrator.decide for executor.execute; without: it answers and ends the trace
 * fails  never by itself: finding nothing is an honest answer without citations
 */
export const query: Handler<QueryRequest, QueryResult> = {
  role: "rag.query",
  accepts: QueryRequest,
  answers: QueryResult,

  async handle({ tenant, traceId, payload }, { sql, signal, keep, status }) {
    const began = performance.now();
    signal.throwIfAborted();
    const { work, ...request } = payload;
    const missing = lackIn(request.collection, await collectionNames(sql, tenant));
    const { passages, question } = missing ? foundNothing(request.query) : await retrieve(sql, { tenant, ...request });
    const { text, citations } = quoteFrom(passages, question);
    const result = { results: passages, citations, took_ms: performance.now() - began, provider: null };
    const artifact: QueryArtifact = { request, result };
    await keep(jsonArtifact("rag", "query.json", "rag.query/1", artifact));

    const { collection } = request;
    const lack = passages.length === 0 ? missing : null;
    if (work) {
      if (lack !== null && collection !== null) await status(`${lack} The work goes on without.`);
      return { result, next: [decision(work, passages)] };
    }
    const told = citations.length > 0 ? text : (lack ?? nothing(collection, passages, traceId));
    const answer: Answer = { text: told, verdict: null, citations, provider: null, replay: false };
    return { result, answer };
  },
};

function decision(work: Work, passages: Passage[]): Next {
  const grounding = passages.map(({ document_id, title, section, span, text, score }) => {
    return { document_id, title, section, span, text, score };
  });
  const payload: DecideRequest = { role: "executor.execute", work: { ...work, grounding } };
  return { to: "orchestrator.decide", payload };
}

/** What is missing when there was nothing to look in, and how to bring it; null: there was. */
function lackIn(collection: string | null, known: string[]): string | null {
  if (known.length > 0 && (collection === null || known.includes(collection))) return null;
  const name = collection ?? "default";
  const make = `\`dagent index FOLDER -c ${name}\` or POST /api/rag/index makes it.`;
  if (known.length === 0) return `There are no documents yet, and no collection ${name}. ${make}`;
  const more = known.length > shownMost ? ` and ${known.length - shownMost} more` : "";
  return `There is no collection ${name}. There are: ${known.slice(0, shownMost).join(", ")}${more}. ${make}`;
}

const shownMost = 10; // names of collections

function nothing(collection: string | null, passages: Passage[], traceId: string): string {
  const where = collection === null ? "any collection" : `collection ${collection}`;
  const near = passages.length > 0 ? ` What came nearest: /artifacts/${traceId}/rag/query.json.` : "";
  return `Nothing was found in ${where} that answers this.${near}`;
}
