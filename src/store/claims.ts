import { array, type Part, part } from "./database.ts";
import type { Claimed, Flow } from "./messages.ts";

export type Asked = Flow & { low: string }; // nothing below this seq is worth a look

/** What a worker looks for, and where. */
export type Wanted = {
  worker: string;
  asked: Asked[];
  perFlow: number; // the most that is looked at of each
  limit: number;
  own: boolean; // the lanes are leased to this worker
  lanes: ReadonlyMap<number, Address>; // whose messages may come
  leaseMs: number;
};

/** What all messages of a lane have in common. */
export type Address = { service: string; role: string; shard: number };

/** A claimed message. */
export type Taken = Claimed & {
  seq: string; // where it was in the queue
  leftMs: number | null; // of its time to live
};

/** As a message comes over the wire: what is the same for its lane, or rarely there, does not travel with each. */
export type Row = Pick<Claimed, "id" | "lane" | "tenant" | "intent" | "traceId" | "idempotencyKey"> & {
  payload: unknown;
  rest: Rest | null;
  createdS: number; // since 1970
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
export const lostRow = -1;
const leaseRow = -2;

/** The messages among the rows of a claim. */
export function takenOf(
  rows: Row[],
  { worker, lanes }: Wanted,
): { taken: Taken[]; leased: number; contested: boolean } {
  const lease = rows.find(({ lane }) => lane === leaseRow)?.payload as LeaseRow | undefined;
  if (!lease) return { taken: [], leased: 0, contested: false };
  if (!lease.token) return { taken: [], leased: 0, contested: lease.seen > 0 };
  const { token, ids, attempts, seqs } = lease;
  const places = new Map(ids.map((id, n) => [id, n]));
  const taken: Taken[] = [];
  for (const { id, lane, tenant, intent, traceId, idempotencyKey, payload, rest, createdS } of rows) {
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
      createdAt: new Date(createdS * 1000),
      attempts: attempts[place] ?? 1,
      seq: seqs[place] ?? "0",
      place,
      token,
      worker,
      leftMs: rest?.left ?? null,
    });
  }
  return { taken, leased: ids.length, contested: lease.seen > ids.length };
}

/** One walk along the index for all messages; the bounds spare the partitions where none of them can be. */
export const claimed = part`
    select m.id, m.lane, m.tenant, m.intent, m.trace_id as "traceId", m.idempotency_key as "idempotencyKey", m.payload,
           case
             when m.parent_id is null and m.join_id is null and m.order_key is null and m.expires_at is null
              and m.traceparent is null and m.assignment is null and m.priority = 5 then null
             else jsonb_build_object(
               'root', m.root_id::text, 'parent', m.parent_id::text, 'join', m.join_id::text, 'priority', m.priority,
               'order', m.order_key, 'expires', m.expires_at, 'left', extract(epoch from m.expires_at - bus_now()) * 1000,
               'traceparent', m.traceparent, 'assignment', m.assignment)
           end as rest,
           date_part('epoch', m.created_at) as "createdS"
    from bus_messages m
    where m.id = any (array(select message_id from taken))
      and m.id >= (select min(message_id) from taken) and m.id <= (select max(message_id) from taken)
    union all
    select null, -2, null, null, null, null, l.row, null, null
    from (select row from leased
          union all
          select json_build_object('token', null, 'seen', (select count(*) from next)) where not exists (select from leased)) l`;

/** On lanes of others two workers may meet: each takes what the other has not. On its own a worker need not ask. */
const lockedPlaces = part`
        select b.ctid from bus_ready b where b.ctid = any (array(select place from chosen)) for update skip locked`;

/** From what is asked for to one lease of all that was taken, with a place in `taken` for each. */
export function claiming({ asked, perFlow, limit, own, worker, leaseMs }: Wanted): Part {
  return part`
    next as materialized (
      select r.place, r.id, r.turn
      from unnest(${array(asked.map(({ lane }) => lane))}::integer[], ${array(asked.map((one) => one.priority))}::smallint[],
                  ${asked.map(({ tenant }) => tenant)}::text[], ${array(asked.map(({ low }) => low))}::bigint[])
             as f (lane, priority, tenant, low)
      cross join lateral (
        select each.place, each.id, row_number() over () as turn
        from (
          select b.place, id
          from (
            select b.ctid as place, b.seq, b.message_ids from bus_ready b
            where b.lane = f.lane and b.priority = f.priority and b.tenant = f.tenant and b.seq >= f.low
            order by b.seq
            limit ${perFlow}
          ) b
          cross join lateral unnest(b.message_ids) id
          limit ${perFlow}
        ) each
      ) r
      order by f.priority desc, r.turn, r.id
      limit ${limit}
    ),
    chosen as materialized (
      select place, array_agg(id order by turn) as ids from next group by place
    ),
    gone as (
      delete from bus_ready b
      where b.ctid = any (array(${own ? part`select place from chosen` : lockedPlaces}))
      returning b.ctid as place, b.lane, b.priority, b.tenant, b.seq, b.message_ids, b.attempts
    ),
    taken as materialized (
      select g.lane, g.seq, id as message_id, g.attempts
      from gone g join chosen c using (place) cross join lateral unnest(c.ids) id
    ),
    put_back as (
      insert into bus_ready (lane, priority, tenant, seq, message_ids, attempts)
      select g.lane, g.priority, g.tenant, g.seq,
             array(select id from unnest(g.message_ids) with ordinality as each (id, place)
                   where id <> all (c.ids) order by each.place),
             g.attempts
      from gone g join chosen c using (place)
      where cardinality(g.message_ids) > cardinality(c.ids)
    ),
    leased as materialized (
      insert into bus_leases (worker, message_ids, attempts, lanes, until)
      select ${worker}, array_agg(message_id), array_agg((attempts + 1)::smallint), array_agg(lane),
             bus_now() + ${leaseMs} * interval '1 millisecond'
      from taken
      having count(*) > 0
      returning json_build_object('token', token::text, 'ids', message_ids::text[], 'attempts', attempts,
                                  'seqs', (select array_agg(seq::text) from taken),
                                  'seen', (select count(*) from next)) as row
    ),`;
}
