import type { EnvelopeView, EventView, TraceAnswer } from "../contracts/http.ts";
import { momentOf } from "./approval.ts";
import { duration, paint, table } from "./output.ts";

const barWidth = 36; // characters

/**
 * A trace as a waterfall: one line a message, waiting light, working dark; then why, and how it ended. One that is open
 * reaches to `now`; null: to its last event.
 */
export function waterfall({ trace, messages, events }: TraceAnswer, now: number | null = null): string {
  const from = Date.parse(trace.opened_at);
  const lately = trace.status === "open" && now !== null ? now : from;
  const until = Math.max(from + 1, lately, ...events.map(({ at }) => Date.parse(at)));
  const span = { from, until };
  const head = `${paint("bold", trace.trace_id)}  ${trace.intent}  ${ended(trace.status)} ${duration(until - from)}`;
  const lines = messages.flatMap((message) => {
    const own = eventsOf(events, message);
    const asked = own.filter(({ kind }) => kind.endsWith("_asked"));
    return [line(message, { events: own, span }), ...asked.map((one) => waitLine(one, { events, trace, span }))];
  });
  return [
    head,
    paint("dim", `tenant ${trace.tenant}, idempotency key ${trace.idempotency_key}`),
    "",
    table(lines),
    ...events.filter(({ kind }) => kind === "gateway_intent").flatMap(intent),
    ...events.filter(({ kind }) => kind === "orchestrate_decision").flatMap(why),
    "",
    outcome(trace),
  ].join("\n");
}

function ended(status: "open" | "done" | "failed"): string {
  if (status === "open") return paint("yellow", "open since");
  return status === "done" ? paint("green", "done in") : paint("red", "failed after");
}

function eventsOf(events: EventView[], message: EnvelopeView): EventView[] {
  return events.filter(({ message_id }) => message_id === message.id);
}

type Span = { from: number; until: number };

function line(message: EnvelopeView, { events, span }: { events: EventView[]; span: Span }): string[] {
  const at = (what: string) => events.findLast(({ kind }) => kind.endsWith(`_${what}`))?.at;
  const accepted = Date.parse(message.created_at);
  const begun = Date.parse(events.find(({ kind }) => kind.endsWith("_acked"))?.at ?? message.created_at);
  const over = Date.parse(at("done") ?? at("dead") ?? new Date(span.until).toISOString());
  const tries = message.attempts > 1 ? `${message.attempts} attempts` : "";
  return [
    `${message.service}.${message.role}`,
    bar({ accepted, begun, over }, span),
    duration(Math.max(0, over - begun)),
    mark(message.status),
    [message.agent_id ?? "", tries].filter(Boolean).join(", "),
  ];
}

/** A wait for somebody outside, from the question to the answer: nothing works meanwhile. */
function waitLine(
  asked: EventView,
  { events, trace, span }: { events: EventView[]; trace: TraceAnswer["trace"]; span: Span },
): string[] {
  const { wait_id } = asked.details;
  const kind = asked.kind.replace(/_asked$/, "");
  const end = events.find((one) => one.details.wait_id === wait_id && one.id !== asked.id);
  const from = Date.parse(asked.at);
  const over = end || trace.ended_at ? Date.parse(end?.at ?? trace.ended_at ?? asked.at) : span.until;
  const column = (at: number) => Math.round(((at - span.from) / (span.until - span.from)) * barWidth);
  const start = Math.min(column(from), barWidth - 1);
  const length = Math.max(1, Math.min(column(over), barWidth) - start);
  const state = end?.kind.slice(kind.length + 1) ?? (trace.status === "open" ? "waiting" : "called off");
  return [
    `${kind} ${String(wait_id)}`,
    `${" ".repeat(start)}${paint("yellow", "┄".repeat(length))}${" ".repeat(barWidth - start - length)}`,
    duration(Math.max(0, over - from)),
    paint(state === "given" ? "green" : state === "waiting" ? "yellow" : "red", state),
    end?.details.by ? `by ${String(end.details.by)}` : momentOf(asked.details.asked),
  ];
}

function bar({ accepted, begun, over }: { accepted: number; begun: number; over: number }, span: Span): string {
  const column = (at: number) => Math.round(((at - span.from) / (span.until - span.from)) * barWidth);
  const start = Math.min(column(accepted), barWidth - 1);
  const middle = Math.max(start, Math.min(column(begun), barWidth - 1));
  const end = Math.max(middle + 1, Math.min(column(over), barWidth));
  const waited = "·".repeat(middle - start);
  return `${" ".repeat(start)}${paint("dim", waited)}${paint("cyan", "█".repeat(end - middle))}${" ".repeat(barWidth - end)}`;
}

function mark(status: EnvelopeView["status"]): string {
  if (status === "done") return paint("green", "done");
  return status === "queued" || status === "claimed" ? paint("yellow", status) : paint("red", status);
}

/** What the request was taken for, in words. */
function intent({ details }: EventView): string[] {
  return ["", `${paint("bold", "why")} ${String(details.intent)}: ${String(details.because)}`];
}

/** The decision in words: who won, with which score against which, and why the others could not. */
function why({ details }: EventView): string[] {
  const candidates = Array.isArray(details.candidates) ? details.candidates : [];
  return [
    "",
    `${paint("bold", "why")} ${String(details.because)}`,
    ...candidates.map(
      ({ agent_id, agent_version, score, excluded }) =>
        `    ${agent_id} ${agent_version}  ${typeof excluded === "string" ? excluded : Number(score).toFixed(2)}`,
    ),
    paint("dim", "    every term of it: dagent explain, with the id above"),
  ];
}

/** How a trace ended, in words: its answer with its sources, or its failure. */
export function outcome({ answer, failure, waits_for: [wait] }: TraceAnswer["trace"]): string {
  if (wait?.kind === "approval") {
    return paint(
      "yellow",
      `waiting for approval ${wait.id}, until ${wait.expires_at}: dagent approvals show ${wait.id}`,
    );
  }
  if (failure) return `${paint("red", failure.code)}: ${failure.message}`;
  if (!answer) return paint("yellow", "not ended yet");
  const replay = answer.replay ? paint("yellow", "(a replay of a recording, not a live model)\n") : "";
  const sources = answer.citations.map(
    ({ document_id, section, span }, n) =>
      `  [${n + 1}] ${document_id}  ${section}  (characters ${span[0]}-${span[1]})`,
  );
  return [`${replay}${answer.text}`, ...sources].join("\n");
}
