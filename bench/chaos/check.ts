import type { RetryPolicy } from "../../src/contracts/policy.ts";
import { ruleFor } from "../../src/rules/retry.ts";
import type { Database } from "../../src/store/database.ts";
import { type Standing, type Step, walk } from "./history.ts";
import type { Asked } from "./load.ts";

/**
 * The promises of the bus.
 *
 * lost         an answered request is there; a message has an end, or waits, or is held
 * doubled      one request is one trace, one message is done once and has one end; what follows from it follows once
 * illegal      the events of a message are in a legal order, and say what the tables say
 * overlapping  of an ordered role, one message of a key at a time: the next begins when the one before it has ended
 * over_policy  no message is tried more often than its rule allows
 * open         after draining, nothing waits, nothing is held, and no trace is open
 */
export type PromiseName = "lost" | "doubled" | "illegal" | "overlapping" | "over_policy" | "open";

/** A broken promise, and by which message (its id) or request (its key). */
export type Broken = { promise: PromiseName; message: string; why: string };

export type Findings = { messages: number; done: number; dead: number; retried: number; broken: Broken[] };

type Row = {
  id: string;
  service: string;
  role: string;
  shard: number;
  queued: boolean;
  claimed: boolean;
  ended: Standing | null;
  endAttempts: number | null;
  sent: number | null; // how many messages its result says it sent
  sentThere: number; // how many there are, those of open joins included
  steps: Step[];
};

const pageSize = 2000;

/**
 * Holds what is in the database against the promises, after a run was drained. Besides the database it is given only
 * what clients were answered, and the policy. Meant for requests whose messages say in their result how many messages
 * they sent (`{ sent: number }`).
 */
export async function check(sql: Database, { asked, policy }: { asked: Asked[]; policy: RetryPolicy }) {
  const findings: Findings = { messages: 0, done: 0, dead: 0, retried: 0, broken: [] };
  findings.broken.push(...(await requestsBroken(sql, asked)), ...(await tracesOpen(sql)), ...(await overlapping(sql)));
  for (let after = "0"; ; ) {
    const rows = await page(sql, after);
    for (const row of rows) {
      findings.messages += 1;
      if (row.ended === "done") findings.done += 1;
      if (row.ended === "dead") findings.dead += 1;
      findings.retried += row.steps.filter(({ what }) => what === "retry").length;
      findings.broken.push(...judge(row, policy));
    }
    const last = rows.at(-1);
    if (!last) return findings;
    after = last.id;
  }
}

/** Requests against traces: what was answered is there, once, and under the id that was answered. */
async function requestsBroken(sql: Database, asked: Asked[]): Promise<Broken[]> {
  const traces = await sql<{ tenant: string; key: string; traceId: string; roots: number }[]>`
    select t.tenant, t.idempotency_key as key, t.trace_id as "traceId",
           (select count(*) from bus_messages m where m.trace_id = t.trace_id and m.parent_id is null)::int as roots
    from bus_traces t`;
  const kept = new Map(traces.map((trace) => [`${trace.tenant} ${trace.key}`, trace]));
  const broken: Broken[] = [];
  for (const { tenant, key, traceIds } of asked) {
    const trace = kept.get(`${tenant} ${key}`);
    const say = (promise: PromiseName, why: string) => broken.push({ promise, message: key, why });
    if (!trace && traceIds.length > 0) say("lost", "it was answered, and is not there");
    if (trace && trace.roots === 0) say("lost", "its trace has no message");
    if (trace && trace.roots > 1) say("doubled", `its trace has ${trace.roots} first messages`);
    const others = traceIds.filter((id) => trace && id !== trace.traceId);
    if (others.length > 0) say("doubled", `it was answered with another trace: ${others.join(", ")}`);
  }
  return broken;
}

async function tracesOpen(sql: Database): Promise<Broken[]> {
  const open = await sql<{ key: string; traceId: string }[]>`
    select idempotency_key as key, trace_id as "traceId"
    from bus_traces
    where status = 'open'
    order by opened_at`;
  return open.map(({ key, traceId }) => ({ promise: "open", message: key, why: `its trace ${traceId} is open` }));
}

/** Messages of an ordered role that began before the one of their key that had begun before them was over. */
async function overlapping(sql: Database): Promise<Broken[]> {
  const rows = await sql<{ id: string; role: string; before: string }[]>`
    select id, role, before
    from (
      select m.id, m.service || '.' || m.role as role, begun, lag(m.id) over key as before, lag(over) over key as over_before
      from bus_messages m
      cross join lateral (
        select min(e.id) filter (where kind like '%\\_acked') as begun, max(e.id) as over
        from bus_events e
        where e.trace_id = m.trace_id and e.message_id = m.id
      ) each
      where m.order_key is not null and begun is not null
      window key as (partition by m.service, m.role, m.order_key order by begun)
    ) pair
    where over_before > begun
    order by id`;
  return rows.map(({ id, role, before }) => ({
    promise: "overlapping",
    message: id,
    why: `${role} began before ${before} of its key had ended`,
  }));
}

/** The next messages by id: where the tables say they are, what they sent, and their events in order. */
function page(sql: Database, after: string) {
  return sql<Row[]>`
    select m.id, m.service, m.role, m.shard, q.message_id is not null as queued, l.message_id is not null as claimed,
           e.status as ended, e.attempts as "endAttempts", (e.result ->> 'sent')::int as sent,
           ((select count(*) from bus_messages c where c.trace_id = m.trace_id and c.parent_id = m.id)
            + (select count(*) from bus_joins j where j.parent_id = m.id))::int as "sentThere",
           coalesce(events.steps, '[]') as steps
    from bus_messages m
    left join bus_queue q on q.message_id = m.id
    left join bus_held l on l.message_id = m.id
    left join bus_ends e on e.message_id = m.id
    cross join lateral (
      select jsonb_agg(jsonb_build_object('what', substring(kind from '_([a-z]+)$'), 'attempts', attempts) order by id)
             as steps
      from bus_events
      where trace_id = m.trace_id and message_id = m.id
    ) events
    where m.id > ${after}
    order by m.id
    limit ${pageSize}`;
}

/** All promises that one message can break. */
function judge(row: Row, policy: RetryPolicy): Broken[] {
  const broken: Broken[] = [];
  const say = (promise: PromiseName, why: string) => broken.push({ promise, message: row.id, why });
  const address = `${row.service}.${row.role}`;
  const { standing, attempts, faults } = walk(row.steps);
  const places: Standing[] = [];
  if (row.queued) places.push("queued");
  if (row.claimed) places.push("claimed");
  if (row.ended) places.push(row.ended);

  if (places.length === 0) say("lost", `${address} neither waits, nor is held, nor has an end`);
  if (places.length > 1) say("doubled", `${address} is at once ${places.join(" and ")}`);
  if (places.length > 0 && !row.ended) say("open", `${address} is still ${places.join(" and ")}`);

  const done = row.steps.filter(({ what }) => what === "done").length;
  if (done > 1) say("doubled", `${address} was done ${done} times`);
  const sent = row.ended === "done" ? (row.sent ?? 0) : 0;
  if (row.sentThere > sent) say("doubled", `${address} sent ${sent} messages, and there are ${row.sentThere}`);
  if (row.sentThere < sent) say("lost", `${address} sent ${sent} messages, and there are ${row.sentThere}`);

  for (const fault of faults) say("illegal", `${address}: ${fault}`);
  const place = places.length === 1 ? places[0] : undefined;
  if (place && place !== standing) say("illegal", `${address} is ${place}; its events say ${standing ?? "nothing"}`);
  if (row.endAttempts !== null && row.endAttempts !== attempts) {
    say("illegal", `${address} ended at attempt ${row.endAttempts}; its events say ${attempts}`);
  }

  const { max_attempts } = ruleFor(policy, row);
  if (attempts > max_attempts) say("over_policy", `${address} was tried ${attempts} times of ${max_attempts}`);
  return broken;
}
