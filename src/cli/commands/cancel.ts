import { Failure } from "../../contracts/failure.ts";
import { TraceId } from "../../contracts/message.ts";
import { json, say } from "../output.ts";
import { openSystem } from "../system.ts";

/** `dagent cancel TRACE`: calls a request off. Throws `conflict` when it had ended before. */
export async function cancel(traceId: string, options: { json?: boolean }): Promise<void> {
  if (!TraceId.safeParse(traceId).success) {
    throw new Failure("invalid_request", `${traceId} is not a trace id: \`dagent chat\` prints one`);
  }
  const answer = await (await openSystem()).cancel(traceId);
  if (options.json) json(answer);
  if (!answer.cancelled) throw new Failure("conflict", `the trace ${traceId} had ended before`);
  if (!options.json) say(`${traceId} was called off`);
}
