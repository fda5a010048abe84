import { Failure } from "../../contracts/failure.ts";
import { TraceId } from "../../contracts/message.ts";
import { json, say } from "../output.ts";
import { openSystem } from "../system.ts";
import { waterfall } from "../waterfall.ts";

/** `dagent trace ID`: what a request caused. */
export async function trace(traceId: string, options: { json?: boolean }): Promise<void> {
  if (!TraceId.safeParse(traceId).success) {
    throw new Failure(
      "invalid_request",
      `${traceId} is not a trace id: \`dagent chat\` prints one, GET /api/traces lists the latest`,
    );
  }
  const answer = await (await openSystem()).trace(traceId);
  if (options.json) json(answer);
  else say(waterfall(answer, Date.now()));
}
