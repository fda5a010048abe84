import { Failure } from "../../contracts/failure.ts";
import { TraceId } from "../../contracts/message.ts";
import { explained } from "../explain.ts";
import { json, say } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent explain TRACE`: whom the orchestrator chose for this request, and why not another. */
export async function explain(traceId: string, options: { json?: boolean }): Promise<void> {
  if (!TraceId.safeParse(traceId).success) {
    throw new Failure("invalid_request", `${traceId} is not a trace id: \`dagent chat\` prints one`);
  }
  const client = await openSystem();
  const { decisions } = await client.decisions({ trace_id: traceId });
  if (decisions.length === 0) {
    const { trace } = await client.trace(traceId); // or there is no such trace
    throw new Failure(
      "not_found",
      `nothing was decided in ${traceId}: a request for ${trace.intent} needs no agent, or found none (dagent trace says which)`,
    );
  }
  if (options.json) json({ decisions });
  else say(decisions.map(explained).join("\n\n"));
}
