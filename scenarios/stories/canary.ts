import { setTimeout as pause } from "node:timers/promises";
import type { DecisionView } from "../../src/contracts/orchestrator.ts";
import { askThrough, must, type Stage, type Story } from "../story.ts";
import { slugify } from "./generate.ts";

const batch = 6; // requests at a time
const batchesMost = 20;

/**
 * The next version of an agent, which fails at everything, on half of the keys: its test pauses it, every request is
 * answered all the same, and every decision says why.
 */
export const canary: Story = {
  name: "a bad canary is paused, and nobody waits in vain",
  needsSandbox: true,
  async walk(stage) {
    const { client } = stage;
    const before = (await client.agents({ id: "replay-generate" })).agents.find(({ enabled }) => enabled);
    must(before, "the recorded agent is registered");
    const { agent_id, agent_version } = { agent_id: before.id, agent_version: before.version };
    await client.addAgent({
      id: "careless",
      version: "1",
      intents: before.intents,
      reach: { kind: "openai", model: "careless" },
      capacity: 100,
      canary_of: { agent_id, agent_version },
      canary_pct: 50,
    });
    try {
      return await walkCanary(stage);
    } finally {
      await client.removeAgent("careless");
    }
  },
};

async function walkCanary(stage: Stage) {
  const traces: string[] = [];
  let paused = await evidenceOf(stage);
  for (let n = 0; n < batchesMost && !paused; n += 1) {
    const asked = await Promise.all(Array.from({ length: batch }, () => askThrough(stage, slugify)));
    for (const { trace } of asked) {
      must(trace.answer?.verdict === "pass", `it is answered: ${trace.failure?.message ?? trace.answer?.text}`);
      traces.push(trace.trace_id);
    }
    paused = await evidenceOf(stage);
  }
  must(paused, `the canary is paused after ${traces.length} requests`);

  const decisions = (await Promise.all(traces.map((trace_id) => stage.client.decisions({ trace_id })))).flatMap(
    (one) => one.decisions,
  );
  for (const decision of decisions) explains(decision);
  const drawn = decisions.filter(({ decision }) => decision.chosen.agent_id === "careless");
  must(drawn.length > 0, "the canary was chosen");
  for (const one of drawn) {
    const next = decisions.find(({ fallback_of }) => fallback_of === one.id);
    must(next?.decision.chosen.agent_id === "replay-generate", "where the canary failed, its stable stood in");
  }
  const { trace } = await askThrough(stage, slugify);
  const [after] = (await stage.client.decisions({ trace_id: trace.trace_id })).decisions;
  const careless = after?.decision.candidates.find((one) => one.agent_id === "careless");
  must(careless?.exclusion === "paused", "from then on it is excluded, and the decision says so");
  const again = await stage.client.whatIf({});
  must(again.decisions > 0 && again.changed === 0, "every decision is made again as it was");
  return {
    saw: `paused after ${drawn.length} of ${traces.length} requests; ${decisions.length} decisions explained`,
    traces: traces.slice(0, 3),
  };
}

/** Why the canary rests; null: it does not. What has ended is counted within seconds, so it is looked at for a while. */
async function evidenceOf({ client }: Stage): Promise<Record<string, unknown> | null> {
  for (let n = 0; n < 6; n += 1) {
    const { agents } = await client.agents({ id: "careless" });
    const open = agents.reduce((sum, one) => sum + one.in_flight, 0);
    const paused = agents[0]?.paused;
    if (paused) {
      must(paused.by === "sequential test", "it was paused by its test");
      return paused.evidence;
    }
    if (open === 0) return null;
    await pause(500);
  }
  return null;
}

/** A decision explains itself: the terms are the score, everybody who could not be chosen knows why. */
function explains({ id, decision: { candidates, chosen } }: DecisionView): void {
  const winner = candidates.find(
    (one) => one.agent_id === chosen.agent_id && one.agent_version === chosen.agent_version,
  );
  must(winner && winner.excluded === null && winner.propensity > 0, `decision ${id} chose somebody who was able`);
  for (const { agent_id, score, terms, reasons, excluded, propensity } of candidates) {
    const sum = Object.values(terms).reduce((total, term) => total + term, 0);
    must(Math.abs(sum - score) < 1e-9, `decision ${id}: the terms of ${agent_id} are its score`);
    must(reasons.length > 0 && (excluded === null || propensity === 0), `decision ${id} says why of ${agent_id}`);
  }
}
