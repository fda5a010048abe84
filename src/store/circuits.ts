import type { CircuitState } from "../contracts/policy.ts";
import type { Database, Sql } from "./database.ts";

/** The circuit of one lane. */
export type Circuit = {
  lane: number;
  key: string; // service.role.shard
  state: CircuitState;
  since: Date;
  because: string;
  byHand: boolean;
};

/** Circuits that are not closed. */
export async function openCircuits(sql: Sql): Promise<Circuit[]> {
  return sql<Circuit[]>`
    select c.lane, l.service || '.' || l.role || '.' || l.shard as key, c.state, c.since, c.because,
           c.by_hand as "byHand"
    from bus_circuits c join bus_lanes l on l.id = c.lane
    where c.state <> 'closed'
    order by l.service, l.role, l.shard`;
}

export type CircuitRow = Circuit & {
  openMs: number; // since it changed
  probes: number; // that may still be begun
  held: boolean; // something is under way there
  calls: { ageMs: number; ok: number; failed: number }[]; // since it changed, second by second
};

/**
 * Locks the circuits that may turn: those that are not closed, and lanes with failures in the last `windowMs`. One
 * process at a time; the others get nothing.
 */
export async function circuitsToTurn(tx: Sql, windowMs: number): Promise<CircuitRow[]> {
  return tx<CircuitRow[]>`
    with mine as materialized (select pg_try_advisory_xact_lock(hashtextextended('dagent.circuits', 0)) as locked),
    recent as (
      select lane, at, ok, failed from bus_calls where at > bus_now() - ${windowMs} * interval '1 millisecond'
    ),
    looked as (
      select lane from recent where failed > 0
      union
      select lane from bus_circuits where state <> 'closed'
    )
    select l.id as lane, l.service || '.' || l.role || '.' || l.shard as key, coalesce(c.state, 'closed') as state,
           coalesce(c.since, '-infinity') as since, coalesce(c.because, '') as because,
           coalesce(c.by_hand, false) as "byHand",
           coalesce(extract(epoch from bus_now() - c.since) * 1000, 0)::float8 as "openMs",
           coalesce(c.probes, 0) as probes, exists (select from bus_held h where h.lane = l.id) as held,
           coalesce((
             select jsonb_agg(jsonb_build_object('ageMs', extract(epoch from bus_now() - r.at) * 1000, 'ok', r.ok,
                                                 'failed', r.failed))
             from recent r where r.lane = l.id and r.at >= date_trunc('second', coalesce(c.since, '-infinity'))
           ), '[]') as calls
    from mine, looked join bus_lanes l on l.id = looked.lane left join bus_circuits c on c.lane = l.id
    where mine.locked`;
}

/** Sets the state of a circuit. What it counted before counts no more. */
export async function setCircuit(
  tx: Sql,
  { lane, state, because, byHand, probes }: Pick<Circuit, "lane" | "state" | "because" | "byHand"> & { probes: number },
): Promise<void> {
  await tx`
    with forgotten as (delete from bus_calls where lane = ${lane}),
    uncounted as (update bus_deltas set failed = 0 where lane = ${lane} and failed > 0)
    insert into bus_circuits (lane, state, because, by_hand, probes)
    values (${lane}, ${state}, ${because}, ${byHand}, ${probes})
    on conflict (lane) do update
    set state = excluded.state, since = bus_now(), because = excluded.because, by_hand = excluded.by_hand,
        probes = excluded.probes`;
}

/** Takes one probe of a half-open lane, counted across all workers. False: there is none left. */
export async function takeProbe(sql: Sql, lane: number): Promise<boolean> {
  const rows = await sql`
    update bus_circuits set probes = probes - 1 where lane = ${lane} and state = 'half_open' and probes > 0 returning 1`;
  return rows.length === 1;
}

/** Grants the probes again of which nothing came: whoever took them died before he could claim. */
export async function grantProbes(tx: Sql, lane: number, probes: number): Promise<void> {
  await tx`update bus_circuits set probes = ${probes} where lane = ${lane} and state = 'half_open' and probes = 0`;
}

/** Gives a probe back that found nothing to claim. */
export async function returnProbe(sql: Sql, lane: number): Promise<void> {
  await sql`update bus_circuits set probes = probes + 1 where lane = ${lane} and state = 'half_open'`;
}

/** The lane of `service.role.shard`; null: there is none. */
export async function laneOf(sql: Database, key: string): Promise<number | null> {
  const [row] = await sql<{ id: number }[]>`
    select id from bus_lanes where service || '.' || role || '.' || shard = ${key}`;
  return row?.id ?? null;
}
