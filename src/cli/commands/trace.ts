import { json, say } from "../output.ts";
import { openSystem } from "../system.ts";
import { waterfall } from "../waterfall.ts";

/** `dagent trace ID`: what a request caused. */
export async function trace(traceId: string, options: { json?: boolean }): Promise<void> {
  const answer = await (await openSystem()).trace(traceId);
  if (options.json) json(answer);
  else say(waterfall(answer));
}
