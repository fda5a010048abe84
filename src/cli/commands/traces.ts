import { Failure } from "../../contracts/failure.ts";
import { TracesQuery, type TraceView } from "../../contracts/http.ts";
import { duration, json, note, paint, say, table } from "../output.ts";
import { openSystem } from "../system.ts";

type Options = { json?: boolean; state?: string; intent?: string; tenant?: string; before?: string; limit?: string };

/** `dagent traces`: the latest requests, one line each. */
export async function traces({ json: asJson, tenant, state, ...rest }: Options): Promise<void> {
  const parsed = TracesQuery.safeParse({ ...rest, status: state });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = String(issue?.path[0]).replace("status", "state");
    throw new Failure("invalid_request", `--${name}: ${issue?.message}`);
  }
  const list = await (await openSystem(tenant)).traces(parsed.data);
  if (asJson) return json(list);
  if (list.traces.length === 0) return say(state || rest.intent ? "there is none like that" : nothingYet);
  const heads = ["trace", "state", "intent", "tenant", "opened", "took", "ended with"];
  say(table([heads.map((head) => paint("dim", head)), ...list.traces.map((one) => row(one, Date.now()))]));
  if (list.next) note(paint("dim", `there are more: --before ${list.next}`));
}

const nothingYet = 'there is none yet; `dagent chat "…"` makes one';

function row(trace: TraceView, now: number): string[] {
  const { trace_id, intent, tenant, opened_at, ended_at, answer, failure } = trace;
  const until = ended_at === null ? now : Date.parse(ended_at);
  const said = failure ? `${failure.code}: ${failure.message}` : (answer?.text ?? "");
  return [
    trace_id,
    stateOf(trace),
    intent,
    tenant,
    opened_at,
    duration(Math.max(0, until - Date.parse(opened_at))),
    said.replace(/\s+/g, " ").slice(0, 60),
  ];
}

function stateOf({ status, waits_for, answer }: TraceView): string {
  const [wait] = waits_for;
  if (wait) return paint("yellow", `waits for ${wait.kind} ${wait.id}`);
  if (status === "open") return paint("yellow", "open");
  if (status === "failed") return paint("red", "failed");
  return answer?.verdict === "fail" ? paint("red", "done, red") : paint("green", "done");
}
