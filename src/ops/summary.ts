import type { Summary } from "../contracts/metrics.ts";
import { backlogs, oldestDue } from "../store/backlog.ts";
import { openCircuits } from "../store/circuits.ts";
import type { Database } from "../store/database.ts";
import { chosenAgents, keptCounts, messageCounts, ragNumbers, sandboxErrors } from "../store/summary.ts";
import { waitCounts } from "../store/waits.ts";
import { aliveWorkers } from "../store/workers.ts";

/** The state of the whole system at `now`: what happened in the last `windowS` seconds, and what stands. */
export async function summarise(sql: Database, { now, windowS }: { now: Date; windowS: number }): Promise<Summary> {
  const [messages, kept, agents, rag, errors, backlog, oldest, workers, circuits, waits] = await Promise.all([
    messageCounts(sql, windowS),
    keptCounts(sql, windowS),
    chosenAgents(sql, windowS),
    ragNumbers(sql, windowS),
    sandboxErrors(sql, windowS),
    backlogs(sql),
    oldestDue(sql),
    aliveWorkers(sql),
    openCircuits(sql),
    waitCounts(sql),
  ]);
  const { p50, p95, p99 } = rag;
  const waited = new Map(oldest.map(({ key, waitedS }) => [key, waitedS]));
  return {
    at: now.toISOString(),
    window_s: windowS,
    totals: {
      messages: { ...messages, queued: sum(backlog, "queued"), claimed: sum(backlog, "claimed") },
      traces: { open: kept.open, done: kept.done, failed: kept.failed },
      dead_letters: kept.deadLetters,
      artifacts: { files: kept.files, bytes: kept.bytes },
    },
    circuits: circuits.map(({ key, state, since, because }) => ({ key, state, since: since.toISOString(), because })),
    waits,
    orchestrator: {
      decisions: sum(agents, "decisions"),
      canary: sum(agents, "canary"),
      by_agent: agents.map(({ canary, ...agent }) => agent),
    },
    rag: {
      queries: rag.done + rag.dead,
      success_rate: share(rag.done, rag.done + rag.dead),
      latency_ms: p50 !== null && p95 !== null && p99 !== null ? { p50, p95, p99 } : null,
      empty_answer_rate: share(rag.empty, rag.answers),
    },
    sandbox: {
      errors,
      refusing: workers.filter(({ kind, facts }) => kind === "sandbox" && facts.class === null).length,
    },
    backlog: backlog.map((lane) => {
      const key = `${lane.service}.${lane.role}.${lane.shard}`;
      return { key, ...lane, oldest_due_s: waited.get(key) ?? null };
    }),
    workers: workers.map(({ started_at, heartbeat_at, ...worker }) => ({
      ...worker,
      started_at: started_at.toISOString(),
      heartbeat_at: heartbeat_at.toISOString(),
    })),
  };
}

function sum<Field extends string>(rows: Record<Field, number>[], field: Field): number {
  return rows.reduce((total, row) => total + row[field], 0);
}

/** `part` of `whole`, 0..1; null when there is nothing to have a part of. */
function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
