import { type Database, type Part, part, type Sql } from "./database.ts";

/** How long things are remembered, in milliseconds. */
export type Retention = {
  historyMs: number; // messages, attempts, facts and traces, from the moment their partition was closed
  partitionMs: number; // how long a partition takes new rows
  answeredMs: number; // waits and dead letters that were dealt with
  deadMs: number; // dead letters that nobody dealt with
};

/** Ids of one partition. */
const size = 1n << 24n;

/**
 * Keeps partitions ahead of the ids, closes the open one when it has taken rows for `partitionMs`, and drops those that
 * were closed longer ago than `historyMs` and hold nothing that still waits. One process at a time; the others do
 * nothing. Answers what was done.
 */
export async function turnHistory(
  sql: Database,
  { historyMs, partitionMs }: Retention,
): Promise<{ opened: number[]; closed: number[]; dropped: number[] }> {
  return sql.begin(async (tx) => {
    const done = { opened: [] as number[], closed: [] as number[], dropped: [] as number[] };
    const [mine] = await tx<{ locked: boolean }[]>`
      select pg_try_advisory_xact_lock(hashtextextended('dagent.history', 0)) as locked`;
    if (!mine?.locked) return done;
    await tx`set local lock_timeout = '2s'`;
    const now = Number(BigInt((await lastId(tx)) ?? "0") / size);

    const [current] = await tx<{ old: boolean; used: boolean }[]>`
      select p.opened_at <= bus_now() - ${partitionMs} * interval '1 millisecond' as old,
             exists (select from bus_messages where id >= ${String(BigInt(now) * size)}) as used
      from bus_partitions p where number = ${now}`;
    const turned = current?.old && current.used ? now + 1 : now;
    for (let number = turned; number <= turned + 2; number += 1) {
      const [known] = await tx`select from bus_partitions where number = ${number}`;
      if (known) continue;
      await tx`select bus_open_partition(${number}::integer)`;
      done.opened.push(number);
    }
    if (turned !== now) await tx`select setval('bus_ids', ${String(BigInt(turned) * size)}::bigint, false)`;
    const closed = await tx<{ number: number }[]>`
      update bus_partitions set closed_at = bus_now() where number < ${turned} and closed_at is null returning number`;
    if (turned !== now || closed.length > 0) {
      await tx`update bus_partitions set opened_at = bus_now() where number = ${turned}`;
    }
    done.closed.push(...closed.map(({ number }) => number));
    done.dropped.push(...(await dropOld(tx, historyMs)));
    return done;
  });
}

async function dropOld(tx: Sql, historyMs: number): Promise<number[]> {
  const old = await tx<{ number: number }[]>`
    select number from bus_partitions
    where closed_at <= bus_now() - ${historyMs} * interval '1 millisecond'
    order by number`;
  const dropped: number[] = [];
  for (const { number } of old) {
    const end = String((BigInt(number) + 1n) * size);
    // What is not over keeps its partition, and those behind it: a trace is readable as a whole or not at all.
    const [live] = await tx`
      select from bus_messages m
      where m.id < ${end} and not exists (select from bus_ends e where e.message_id = m.id)
      union all
      select from bus_waits where message_id < ${end} and answered_at is null
      union all
      select from bus_joins j
      where j.parent_id < ${end}
        and exists (select from bus_messages m join bus_traces t on t.trace_id = m.trace_id and t.root_id = m.root_id
                    where m.id = j.parent_id and t.status = 'open')
      limit 1`;
    if (live) break;
    await tx`delete from bus_joins where parent_id < ${end}`;
    for (const table of ["bus_messages", "bus_attempts", "bus_packs", "bus_trace_ends", "bus_facts", "bus_roots"]) {
      await tx.unsafe(`drop table ${table}_${number}`);
    }
    await tx`delete from bus_partitions where number = ${number}`;
    dropped.push(number);
  }
  return dropped;
}

async function lastId(tx: Sql): Promise<string | null> {
  const [row] = await tx<{ last: string }[]>`select last_value as last from bus_ids`;
  return row?.last ?? null;
}

/** So many of a kind are forgotten in one statement, and so many statements follow each other. */
const piece = 5000;
const pieces = 5;

/**
 * Forgets keys, tallies, cancellations, answered waits and dead letters that have lived long enough, a few thousand at a
 * time, because a heartbeat must not wait long for it. True: there is more.
 */
export async function forget(sql: Sql, { historyMs, answeredMs, deadMs }: Retention): Promise<boolean> {
  const before = (ms: number) => part`bus_now() - ${ms} * interval '1 millisecond'`;
  await sql`
    delete from bus_cancels c
    where not exists (select from bus_held h join bus_messages m on m.id = h.message_id where m.root_id = c.root_id)
      and c.cancelled_at <= bus_now() - interval '1 hour'`;
  const more = [
    await forgetOf(sql, part`bus_keys`, part`expires_at <= bus_now()`),
    await forgetOf(sql, part`bus_tallies`, part`at <= ${before(historyMs)}`),
    await forgetOf(sql, part`bus_waits`, part`answered_at <= ${before(answeredMs)}`),
    await forgetOf(sql, part`bus_dead`, part`replayed_at <= ${before(answeredMs)}`),
    await forgetOf(sql, part`bus_dead`, part`died_at <= ${before(deadMs)}`),
  ];
  return more.includes(true);
}

async function forgetOf(sql: Sql, table: Part, old: Part): Promise<boolean> {
  for (let n = 0; n < pieces; n += 1) {
    const [gone] = await sql<{ n: number }[]>`
      with gone as (
        delete from ${table} where ctid = any (array(
          select ctid from ${table} where ${old} limit ${piece} for update skip locked))
        returning 1
      )
      select count(*)::int as n from gone`;
    if ((gone?.n ?? 0) < piece) return false;
  }
  return true;
}
