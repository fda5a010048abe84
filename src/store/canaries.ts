import type { AgentRef } from "../contracts/agent.ts";
import type { Sql } from "./database.ts";

/** How a canary and its stable did since its test began. */
export type CanaryTest = {
  agent_id: string; // the canary
  agent_version: string;
  since: Date;
  canary_good: number;
  canary_bad: number;
  stable_good: number;
  stable_bad: number;
  verdict: "open" | "worse" | "not_worse";
};

/** Begins the test of a canary, anew when there was one. */
export async function beginTest(tx: Sql, { agent_id, agent_version }: AgentRef): Promise<void> {
  await tx`
    insert into registry_canaries (agent_id, agent_version)
    values (${agent_id}, ${agent_version})
    on conflict (agent_id, agent_version) do update
    set since = bus_now(), canary_good = 0, canary_bad = 0, stable_good = 0, stable_bad = 0, state = '{}',
        verdict = 'open'`;
}

/** Ends the test of a canary that is none any more. */
export async function endTest(tx: Sql, { agent_id, agent_version }: AgentRef): Promise<void> {
  await tx`delete from registry_canaries where agent_id = ${agent_id} and agent_version = ${agent_version}`;
}

/** Every test. */
export async function canaryTests(sql: Sql): Promise<CanaryTest[]> {
  return sql<CanaryTest[]>`
    select agent_id, agent_version, since, canary_good::float8 as canary_good, canary_bad::float8 as canary_bad,
           stable_good::float8 as stable_good, stable_bad::float8 as stable_bad, verdict
    from registry_canaries
    order by agent_id, agent_version`;
}

/** Writes where a test stands. */
export async function keepTest(tx: Sql, test: Omit<CanaryTest, "since">): Promise<void> {
  await tx`
    update registry_canaries
    set canary_good = ${test.canary_good}, canary_bad = ${test.canary_bad}, stable_good = ${test.stable_good},
        stable_bad = ${test.stable_bad}, verdict = ${test.verdict}
    where agent_id = ${test.agent_id} and agent_version = ${test.agent_version}`;
}
