import { exitCodes } from "../../app/child.ts";
import { ChatRequest } from "../../contracts/chat.ts";
import { Failure } from "../../contracts/failure.ts";
import type { EventView } from "../../contracts/http.ts";
import { approvalWords } from "../approval.ts";
import { readTexts } from "../files.ts";
import { follow } from "../follow.ts";
import { json, note, paint, say } from "../output.ts";
import { openSystem } from "../system.ts";
import { outcome } from "../waterfall.ts";

type Options = { json?: boolean; collection?: string; dir?: string; intent?: string; key?: string };
type Plan = { build?: string; test?: string; language?: string };

/**
 * `dagent chat "…"`: asks, shows what is being done while it is done, then the answer. Exit code 1 when it failed or the tests
 * were red.
 */
export async function chat(message: string, options: Options & Plan): Promise<void> {
  const { files, left } = options.dir ? await readTexts(options.dir) : { files: {}, left: [] };
  for (const name of left) note(`left out: ${name}`);
  if (options.dir && Object.keys(files).length === 0) {
    throw new Failure("invalid_request", `there are no text files in ${options.dir}`);
  }
  const { intent, collection, build, test, language } = options;
  const request = requestOf({
    message,
    workspace: files,
    ...Object.fromEntries(Object.entries({ intent, collection, build, test, language }).filter(([, value]) => value)),
  });

  const client = await openSystem();
  const { trace_id } = await client.chat(request, options.key === undefined ? {} : { idempotencyKey: options.key });
  const watched = process.stderr.isTTY && !options.json;
  const whole = await follow(client, trace_id, options.json ? () => {} : step, watched ? speak : undefined);
  if (options.json) json(whole);
  else {
    say(outcome(whole.trace));
    note(paint("dim", `how it came about: dagent trace ${trace_id}`));
  }
  const well = whole.trace.status === "done" && whole.trace.answer?.verdict !== "fail";
  process.exitCode = well ? exitCodes.ok : exitCodes.failed;
}

/** A model's words as they come. */
function speak(text: string): void {
  process.stderr.write(paint("dim", text));
}

function requestOf(body: Record<string, unknown>): ChatRequest {
  const parsed = ChatRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Failure("invalid_request", `${issue?.path.join("/")}: ${issue?.message}`);
}

/** What a watcher wants to know, on standard error: decisions, progress and trouble. The rest is in the trace. */
function step(event: EventView): void {
  const { kind, agent_id, details } = event;
  const approval = approvalWords(event);
  if (approval !== null) note(`${paint("cyan", kind)} ${approval}`);
  if (kind === "approval_asked") note(paint("dim", "  it waits without you, too (Ctrl-C)"));
  if (!/_(intent|decision|status|retry|failed)$/.test(kind)) return;
  const lines = Array.isArray(details.lines) ? details.lines.map((text) => `    ${text}`) : [];
  const trouble = details.failure && typeof details.failure === "object" && "message" in details.failure;
  const said = details.because ?? details.text ?? (trouble ? Object(details.failure).message : "");
  note([`${paint("cyan", kind)} ${agent_id ? paint("dim", agent_id) : ""} ${said}`.trimEnd(), ...lines].join("\n"));
}
