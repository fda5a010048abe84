import { setImmediate as breathe } from "node:timers/promises";
import type { AgentRef } from "../contracts/agent.ts";
import type { WhatIf, WhatIfRequest } from "../contracts/orchestrator.ts";
import { doublyRobust, inversePropensity, type Logged } from "../rules/offpolicy.ts";
import { type Imagined, imagine, nameOf } from "../rules/whatif.ts";
import type { Database } from "../store/database.ts";
import { type DecisionRow, recordedDecisions } from "../store/decisions.ts";

const chunk = 200; // decisions read at a time: between two of them others have their turn
const examplesMost = 20;

/** Makes the recorded decisions again with something different, and says what would have come of it. */
export async function whatIf(sql: Database, request: WhatIfRequest): Promise<WhatIf> {
  const { window_s: windowS, tenant = null, intent = null, limit } = request;
  const tally = openTally();
  let before: DecisionRow | null = null;
  while (tally.decisions < limit) {
    const wanted = Math.min(chunk, limit - tally.decisions);
    const rows: DecisionRow[] = await recordedDecisions(sql, { windowS, tenant, intent, before, limit: wanted });
    for (const row of rows) count(tally, row, imagine(recordOf(row), request));
    before = rows.at(-1) ?? null;
    if (rows.length < wanted) break;
    await breathe();
  }
  return answerOf(tally);
}

function recordOf({ record, propensity, outcome }: DecisionRow) {
  const good = outcome === null || outcome === "void" ? null : outcome === "good";
  return { chosen: record.chosen, propensity, inputs: record.inputs, good };
}

type Tally = {
  decisions: number;
  changed: number;
  nobody: number;
  good: number;
  log: Logged[];
  agents: Map<string, AgentRef & { chosen: number; would: number }>;
  examples: WhatIf["examples"];
};

function openTally(): Tally {
  return { decisions: 0, changed: 0, nobody: 0, good: 0, log: [], agents: new Map(), examples: [] };
}

function count(tally: Tally, { id, trace_id, record }: DecisionRow, { choice, differs, logged }: Imagined): void {
  tally.decisions += 1;
  if (logged) tally.log.push(logged);
  if (logged?.good) tally.good += 1;
  lineOf(tally, record.chosen).chosen += 1;
  if (choice.chosen) lineOf(tally, choice.chosen).would += 1;
  else tally.nobody += 1;
  if (!differs) return;
  tally.changed += 1;
  if (tally.examples.length >= examplesMost) return;
  const would = choice.chosen && refOf(choice.chosen);
  tally.examples.push({ decision_id: id, trace_id, chosen: refOf(record.chosen), would, because: choice.because });
}

function lineOf({ agents }: Tally, ref: AgentRef): { chosen: number; would: number } {
  const known = agents.get(nameOf(ref));
  if (known) return known;
  const line = { ...refOf(ref), chosen: 0, would: 0 };
  agents.set(nameOf(ref), line);
  return line;
}

function refOf({ agent_id, agent_version }: AgentRef): AgentRef {
  return { agent_id, agent_version };
}

function answerOf({ decisions, changed, nobody, good, log, agents, examples }: Tally): WhatIf {
  return {
    decisions,
    counted: log.length,
    changed,
    nobody,
    success: {
      recorded: log.length === 0 ? null : good / log.length,
      inverse_propensity: inversePropensity(log),
      doubly_robust: doublyRobust(log),
    },
    by_agent: [...agents.values()].sort((a, b) => b.chosen - a.chosen || b.would - a.would),
    examples,
  };
}
