import { z } from "zod";
import { Candidate } from "../../contracts/decision.ts";
import { Failure } from "../../contracts/failure.ts";
import type { TraceAnswer } from "../../contracts/http.ts";
import { TraceId } from "../../contracts/message.ts";
import { explained, nobody } from "../explain.ts";
import { json, say } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent explain TRACE`: whom the orchestrator chose for this request, and why not another. */
export async function explain(traceId: string, options: { json?: boolean }): Promise<void> {
  if (!TraceId.safeParse(traceId).success) {
    throw new Failure("invalid_request", `${traceId} is not a trace id: \`dagent chat\` prints one`);
  }
  const client = await openSystem();
  const { decisions } = await client.decisions({ trace_id: traceId });
  const refused = decisions.length === 0 ? refusedIn(await client.trace(traceId)) : null; // or there is no such trace
  if (options.json) json({ decisions, refused });
  else say(refused === null ? decisions.map(explained).join("\n\n") : nobody(refused));
}

const Refused = z.object({ failure: z.object({ details: z.object({ candidates: z.array(Candidate) }) }) });

/** Who was considered when nobody was able, as the latest attempt saw them. Throws `not_found` when nothing was decided. */
function refusedIn({ trace, events }: TraceAnswer): Candidate[] {
  const seen = events.flatMap(({ details }) => {
    const parsed = Refused.safeParse(details);
    return parsed.success ? [parsed.data.failure.details.candidates] : [];
  });
  const last = seen.at(-1);
  if (last) return last;
  throw new Failure(
    "not_found",
    `nothing was decided in ${trace.trace_id}: ${trace.intent} needs no agent, or has none yet`,
  );
}
