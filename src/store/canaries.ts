import type { AgentRef } from "../contracts/agent.ts";
import { CanaryState } from "../contracts/canary.ts";
import { jsonText, type Sql } from "./database.ts";

/** The test of a canary: what it has seen since it began, and what it says. */
export type Trial = AgentRef & {
  since: Date; // decisions before it do not count
  state: CanaryState;
  verdict: "open" | "worse" | "not_worse";
};

/** Begins the test of a canary, anew when there was one. */
export async function beginTrial(tx: Sql, { agent_id, agent_version }: AgentRef): Promise<void> {
  await tx`
    insert into registry_canaries (agent_id, agent_version)
    values (${agent_id}, ${agent_version})
    on conflict (agent_id, agent_version) do update
    set since = bus_now(), state = '{}', verdict = 'open'`;
}

/** Ends the test of a canary that is none any more. */
export async function endTrial(tx: Sql, { agent_id, agent_version }: AgentRef): Promise<void> {
  await tx`delete from registry_canaries where agent_id = ${agent_id} and agent_version = ${agent_version}`;
}

/** Every test. */
export async function trials(sql: Sql): Promise<Trial[]> {
  const rows = await sql<(Omit<Trial, "state"> & { state: unknown })[]>`
    select agent_id, agent_version, since, state, verdict
    from registry_canaries
    order by agent_id, agent_version`;
  return rows.map(({ state, ...trial }) => ({ ...trial, state: CanaryState.parse(state) }));
}

/** Writes where a test stands. */
export async function keepTrial(
  tx: Sql,
  { agent_id, agent_version, state, verdict }: Omit<Trial, "since">,
): Promise<void> {
  await tx`
    update registry_canaries
    set state = ${jsonText(state)}::text::jsonb, verdict = ${verdict}
    where agent_id = ${agent_id} and agent_version = ${agent_version}`;
}
