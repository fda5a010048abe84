import { Failure } from "../contracts/failure.ts";
import { array, jsonText, type Part, part, type Sql } from "./database.ts";
import { type Fact, factRows, insertFacts } from "./facts.ts";
import { allowedOf, type Claimed, type Draft, type Flow, messageColumns, storing, wantedOf } from "./messages.ts";

/** An attempt that ended well. */
export type Done = {
  message: Claimed;
  result: unknown;
  answer: unknown; // ends the trace; null: it goes on
  next: Draft[];
  records: Fact[];
};

export type Asked = Flow & { low: string }; // nothing below this seq is worth a look

export type Round = {
  worker: string;
  done: Done[];
  freed: string[]; // tokens of leases of which nothing is left
  asked: Asked[];
  perFlow: number; // the most that is looked at of each
  limit: number;
  own: boolean; // the lanes are leased to this worker
  lanes: ReadonlyMap<number, Address>; // whose messages may come
  leaseMs: number;
};

/** What all messages of a lane have in common. */
export type Address = { service: string; role: string; shard: number };

/** A claimed message, and its place in the queue. */
export type Taken = Claimed & { seq: string; leftMs: number | null }; // leftMs: of its time to live

/**
 * One round of a worker, in one statement and one commit: settles what was done, and takes up to `limit` of the due
 * messages of the flows it asks for, higher priorities first and one of each tenant in turn. Answers those, and the ids
 * of what could not be settled because its lease is gone: nothing of it was written. `contested`: another worker took
 * some of what we saw, so less than was asked for does not mean that there is no more.
 */
export async function step(sql: Sql, round: Round): Promise<Stepped> {
  const { done } = round;
  const claims = round.limit > 0 && round.asked.length > 0;
  const rows = await sql<Row[]>`
    with ${settling(round)} ${done.some(({ next }) => next.length > 0) ? following(done) : empty}
    ${done.some(({ records }) => records.length > 0) ? noting(done, round.worker) : empty}
    ${claims ? claiming(round) : empty}
    moved as (
      insert into bus_deltas (lane, ready, held, done)
      select lane, sum(ready), sum(held), sum(done)
      from (${claims ? part`select lane, -1 as ready, 1 as held, 0 as done from taken union all` : empty}
            select lane, 0 as ready, -1 as held, 1 as done from settled) each
      group by lane
    )
    ${claims ? claimed : empty}
    select e.message_id as id, -1 as lane, null as tenant, null as intent, null::uuid as "traceId",
           null as "idempotencyKey", null::jsonb as payload, null::jsonb as rest, null::timestamptz as "createdAt"
    from ends e where not exists (select from held h where h.token = e.token)`.catch(endedTwice);
  const lost = rows.filter(({ lane }) => lane === lostRow).map(({ id }) => id);
  return { ...takenOf(rows, round), lost };
}

export type Stepped = { taken: Taken[]; lost: string[]; contested: boolean };

/** As a message comes over the wire: what is the same for its lane, or rarely there, does not travel with each. */
type Row = Pick<Claimed, "id" | "lane" | "tenant" | "intent" | "traceId" | "idempotencyKey" | "createdAt"> & {
  payload: unknown;
  rest: Rest | null;
};
type Rest = {
  root: string;
  parent: string | null;
  join: string | null;
  priority: number;
  order: string | null;
  expires: string | null;
  left: number | null;
  traceparent: string | null;
  assignment: Claimed["assignment"];
};
type LeaseRow = { token: string | null; ids: string[]; attempts: number[]; seqs: string[]; seen: number };

/** Rows that are no message are told by their lane. */
const lostRow = -1;
const leaseRow = -2;

function takenOf(rows: Row[], { worker, lanes }: Round): { taken: Taken[]; contested: boolean } {
  const lease = rows.find(({ lane }) => lane === leaseRow)?.payload as LeaseRow | undefined;
  if (!lease) return { taken: [], contested: false };
  if (!lease.token) return { taken: [], contested: lease.seen > 0 };
  const { token, ids, attempts, seqs } = lease;
  const places = new Map(ids.map((id, n) => [id, n]));
  const taken: Taken[] = [];
  for (const { id, lane, tenant, intent, traceId, idempotencyKey, payload, rest, createdAt } of rows) {
    const address = lanes.get(lane);
    const place = places.get(id);
    if (!address || place === undefined) continue;
    const { service, role, shard } = address;
    taken.push({
      id,
      lane,
      service,
      role,
      shard,
      tenant,
      intent,
      traceId,
      rootId: rest?.root ?? id,
      parentId: rest?.parent ?? null,
      joinId: rest?.join ?? null,
      idempotencyKey,
      priority: rest?.priority ?? 5,
      orderKey: rest?.order ?? null,
      expiresAt: rest?.expires ? new Date(rest.expires) : null,
      traceparent: rest?.traceparent ?? null,
      assignment: rest?.assignment ?? null,
      payload,
      createdAt,
      attempts: attempts[place] ?? 1,
      seq: seqs[place] ?? "0",
      token,
      worker,
      leftMs: rest?.left ?? null,
    });
  }
  return { taken, contested: lease.seen > taken.length };
}

const empty = part``;

/** An attempt that has ended already cannot end again, whoever asks. */
function endedTwice(error: unknown): never {
  const { code, table } =
    typeof error === "object" && error !== null ? (error as { code?: string; table?: string }) : {};
  if (code !== "23505" || !table?.startsWith("bus_attempts")) throw error;
  throw new Failure("lease_lost", "an attempt of these has ended already", { cause: error });
}

/** One walk along the index for all messages; the bounds spare the partitions where none of them can be. */
const claimed = part`
    select m.id, m.lane, m.tenant, m.intent, m.trace_id as "traceId", m.idempotency_key as "idempotencyKey", m.payload,
           case
             when m.parent_id is null and m.join_id is null and m.order_key is null and m.expires_at is null
              and m.traceparent is null and m.assignment is null and m.priority = 5 then null
             else jsonb_build_object(
               'root', m.root_id::text, 'parent', m.parent_id::text, 'join', m.join_id::text, 'priority', m.priority,
               'order', m.order_key, 'expires', m.expires_at, 'left', extract(epoch from m.expires_at - bus_now()) * 1000,
               'traceparent', m.traceparent, 'assignment', m.assignment)
           end as rest,
           m.created_at as "createdAt"
    from bus_messages m
    where m.id = any (array(select message_id from taken))
      and m.id >= (select min(message_id) from taken) and m.id <= (select max(message_id) from taken)
    union all
    select null, -2, null, null, null, null, l.row || jsonb_build_object('seen', (select count(*) from next)), null, null
    from (select row from leased union all select '{"token": null}' where not exists (select from leased)) l
    union all`;

/** `held` is the fence: who does not hold the lease settles nothing. */
function settling({ done, freed, worker }: Round): Part {
  const ends = done.map(({ message }) => message);
  return part`
    ends as (
      select e.token, e.message_id, e.attempts, e.lane, nullif(e.result, 'null') as result,
             nullif(e.answer, 'null') as answer
      from rows from (
        unnest(${array(ends.map(({ token }) => token))}::bigint[]), unnest(${array(ends.map(({ id }) => id))}::bigint[]),
        unnest(${array(ends.map(({ attempts }) => attempts))}::smallint[]),
        unnest(${array(ends.map(({ lane }) => lane))}::integer[]),
        jsonb_array_elements(${jsonText(done.map(({ result }) => result ?? null))}::text::jsonb),
        jsonb_array_elements(${jsonText(done.map(({ answer }) => answer ?? null))}::text::jsonb)
      ) as e (token, message_id, attempts, lane, result, answer)
    ),
    held as materialized (
      select token, claimed_at from bus_leases
      where token = any (array(select token from ends)) and worker = ${worker}
      for update
    ),
    drawn as materialized (select nextval('bus_ids') as id),
    settled as (
      insert into bus_attempts (message_id, attempts, event_id, lane, status, token, worker, claimed_at, result, answer)
      select e.message_id, e.attempts, (select id from drawn), e.lane, 'done', e.token, ${worker}, h.claimed_at, e.result,
             e.answer
      from ends e join held h using (token)
      returning message_id, lane
    ),
    freed as (
      delete from bus_leases where token = any (${array(freed)}::bigint[]) and worker = ${worker}
    ),`;
}

/** The messages that follow. A trace that was called off goes nowhere. */
function following(done: Done[]): Part {
  const drafts = done.flatMap(({ next }) => next);
  return part`
    ${wantedOf(drafts, part`cross join drawn`)},
    ${allowedOf(part`(w.parent_id in (select message_id from settled)
      and not exists (select from bus_cancels c where c.root_id = w.root_id))`)},
    ${storing},`;
}

function noting(done: Done[], worker: string): Part {
  const facts = done.flatMap(({ message, records }) => factRows(message, records));
  return part`
    noted as (
      ${insertFacts(facts, worker)}
      where f.message_id in (select message_id from settled)
    ),`;
}

/** On lanes of others two workers may meet: each takes what the other has not. On its own a worker need not ask. */
const lockedPlaces = part`
        select b.ctid from bus_ready b where b.ctid = any (array(select place from next)) for update skip locked`;

function claiming({ asked, perFlow, limit, own, worker, leaseMs }: Round): Part {
  return part`
    next as materialized (
      select r.place, f.priority, r.turn, r.seq
      from unnest(${array(asked.map(({ lane }) => lane))}::integer[], ${array(asked.map((one) => one.priority))}::smallint[],
                  ${asked.map(({ tenant }) => tenant)}::text[], ${array(asked.map(({ low }) => low))}::bigint[])
             as f (lane, priority, tenant, low)
      cross join lateral (
        select each.place, each.seq, row_number() over (order by each.seq) as turn
        from (
          select b.ctid as place, b.seq from bus_ready b
          where b.lane = f.lane and b.priority = f.priority and b.tenant = f.tenant and b.seq >= f.low
          order by b.seq
          limit ${perFlow}
        ) each
      ) r
      order by f.priority desc, r.turn, r.seq
      limit ${limit}
    ),
    taken as materialized (
      delete from bus_ready b
      where b.ctid = any (array(${own ? part`select place from next` : lockedPlaces}))
      returning b.lane, b.seq, b.message_id, b.attempts
    ),
    leased as materialized (
      insert into bus_leases (worker, message_ids, attempts, lanes, until)
      select ${worker}, array_agg(message_id), array_agg((attempts + 1)::smallint), array_agg(lane),
             bus_now() + ${leaseMs} * interval '1 millisecond'
      from taken
      having count(*) > 0
      returning jsonb_build_object('token', token::text, 'ids', message_ids::text[], 'attempts', attempts,
                                   'seqs', (select array_agg(seq::text) from taken)) as row
    ),`;
}

/** Prolongs the leases that are still held. Answers the tokens that are. */
export async function extend(
  sql: Sql,
  { worker, tokens, leaseMs }: { worker: string; tokens: string[]; leaseMs: number },
): Promise<string[]> {
  const rows = await sql<{ token: string }[]>`
    update bus_leases set until = bus_now() + ${leaseMs} * interval '1 millisecond'
    where token = any (${array(tokens)}::bigint[]) and worker = ${worker}
    returning token`;
  return rows.map(({ token }) => token);
}

/**
 * Locks a lease for the settlement of one of its messages. False: it is no longer held, or the attempt has ended, so
 * nothing may be settled.
 */
export async function hold(tx: Sql, message: Claimed): Promise<{ claimedAt: string } | null> {
  const [held] = await tx<{ claimedAt: string }[]>`
    select claimed_at::text as "claimedAt" from bus_leases l
    where token = ${message.token} and worker = ${message.worker}
      and not exists (select from bus_attempts a
                      where a.message_id = ${message.id} and a.attempts = ${message.attempts})
    for update of l`;
  return held ?? null;
}

/** Messages of these roles whose lease ran out, locked with their lease, so that they can be settled as lost. */
export async function lapsed(tx: Sql, roles: string[], limit: number): Promise<Lost[]> {
  return tx<Lost[]>`
    with gone as materialized (
      select token, worker, claimed_at, message_ids, attempts from bus_leases
      where until <= bus_now()
      order by token
      limit ${limit}
      for update skip locked
    ),
    swept as (
      delete from bus_leases l using gone g
      where l.token = g.token and not exists (
        select from unnest(g.message_ids, g.attempts) as h (id, attempts)
        where not exists (select from bus_attempts a where a.message_id = h.id and a.attempts = h.attempts))
    )
    select ${messageColumns}, h.attempts, g.token, g.worker, g.claimed_at::text as "claimedAt"
    from gone g
    cross join lateral unnest(g.message_ids, g.attempts) as h (id, attempts)
    join bus_messages m on m.id = h.id
    where m.service || '.' || m.role = any (${roles}::text[])
      and not exists (select from bus_attempts a where a.message_id = h.id and a.attempts = h.attempts)`;
}

export type Lost = Claimed & { claimedAt: string };
