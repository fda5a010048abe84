import { exitCodes } from "../../app/child.ts";
import { ChatRequest } from "../../contracts/chat.ts";
import { Failure } from "../../contracts/failure.ts";
import type { EventView } from "../../contracts/http.ts";
import { readTexts } from "../files.ts";
import { follow } from "../follow.ts";
import { json, note, paint, say } from "../output.ts";
import { openSystem } from "../system.ts";
import { waterfall } from "../waterfall.ts";

type Options = { json?: boolean; collection?: string; dir?: string; intent?: string; key?: string };

/**
 * `dagent chat "…"`: asks, shows the steps as they happen, then the answer. Exit code 1 when it failed or the tests
 * were red.
 */
export async function chat(message: string, options: Options): Promise<void> {
  const { files, left } = options.dir ? await readTexts(options.dir) : { files: {}, left: [] };
  for (const name of left) note(`left out, not text: ${name}`);
  const request = requestOf({
    message,
    workspace: files,
    ...(options.intent ? { intent: options.intent } : {}),
    ...(options.collection ? { collection: options.collection } : {}),
  });

  const client = await openSystem();
  const { trace_id } = await client.chat(request, options.key === undefined ? {} : { idempotencyKey: options.key });
  const whole = await follow(client, trace_id, options.json ? () => {} : step);
  if (options.json) json(whole);
  else say(`\n${waterfall(whole)}`);
  const well = whole.trace.status === "done" && whole.trace.answer?.verdict !== "fail";
  process.exitCode = well ? exitCodes.ok : exitCodes.failed;
}

function requestOf(body: Record<string, unknown>): ChatRequest {
  const parsed = ChatRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure("invalid_request", `${issue?.path.join("/")}: ${issue?.message}`);
}

/** One line a fact, on standard error: what is being done, by whom, and what it says. */
function step({ kind, agent_id, details }: EventView): void {
  const lines = Array.isArray(details.lines) ? details.lines.map((text) => `    ${text}`) : [];
  const said = details.because ?? details.text ?? "";
  note([`${paint("cyan", kind)} ${agent_id ? paint("dim", agent_id) : ""} ${said}`.trimEnd(), ...lines].join("\n"));
}
