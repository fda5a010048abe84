import type { AgentStats } from "../contracts/agent.ts";
import type { Memory } from "../contracts/choice.ts";
import { failures } from "../contracts/failure.ts";
import type { Answer, Intent } from "../contracts/message.ts";
import { fade } from "./beta.ts";

/** How a piece of work ended for the agent that was chosen. `void`: badly or not at all, and it is not to blame. */
export type Outcome = "good" | "bad" | "void";

/** How the work ended: with an answer, or with the code of a failure. */
export type Ending = { answer: Pick<Answer, "verdict"> } | { code: string };

/**
 * Whether an end speaks for the agent. A failure counts against it only when the table of failures blames the agent.
 * A red verdict does, when the agent wrote what was tested; for `code.buildtest` the caller brought the code.
 */
export function outcomeOf(ending: Ending, intent: Intent): Outcome {
  if ("answer" in ending) return ending.answer.verdict === "fail" && intent !== "code.buildtest" ? "bad" : "good";
  const known = Object.entries(failures).find(([code]) => code === ending.code);
  return known?.[1].blame === "agent" ? "bad" : "void";
}

/** An end that counts. `turn`: it is the so manieth of the intent, 1.., whoever worked. */
export type Counted = { good: boolean; latencyMs: number; at: Date; turn: number };

/**
 * What is known of an agent after one more end: what was known before has lost half its weight for every half-life that
 * passed since, of time and of calls. The latency is a mean under the same weights. An end that comes late (before `at`)
 * weighs less by the same measure, so the order in which ends are counted does not matter.
 */
export function learn(
  known: AgentStats | null,
  intent: Intent,
  { good, latencyMs, at, turn }: Counted,
  memory: Memory,
): AgentStats {
  const before = known ? new Date(known.at) : at;
  const latest = before > at ? before : at;
  const last = Math.max(known?.turn ?? 0, turn);
  const left = (from: Date, then: number) =>
    fade({ seconds: (latest.getTime() - from.getTime()) / 1000, calls: last - then }, memory);
  const old = known ? left(before, known.turn) : 0;
  const fresh = left(at, turn);
  const weight = ((known?.good ?? 0) + (known?.bad ?? 0)) * old;
  const latency = ((known?.latency_ms ?? latencyMs) * weight + latencyMs * fresh) / (weight + fresh);
  return {
    intent,
    good: (known?.good ?? 0) * old + (good ? fresh : 0),
    bad: (known?.bad ?? 0) * old + (good ? 0 : fresh),
    latency_ms: latency,
    at: latest.toISOString(),
    turn: last,
  };
}
