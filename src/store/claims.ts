import { array, type Part, part } from "./database.ts";
import type { Claimed, Flow } from "./messages.ts";

/** At most `most` messages of a flow; nothing below the seq `low` is worth a look. */
export type Asked = Flow & { most: number; low: string };

/** What a claim took of a flow: how many messages, and the highest seq of their rows. */
export type Took = Flow & { count: number; seq: number };

/** What a worker looks for, and where. */
export type Wanted = {
  worker: string;
  asked: Asked[];
  limit: number;
  own: boolean; // the lanes are leased to this worker
  lanes: ReadonlyMap<number, Address>; // whose messages may come
  leaseMs: number;
};

/** What all messages of a lane have in common. */
export type Address = { service: string; role: string; shard: number };

/** A claimed message. */
export type Taken = Claimed & {
  leftMs: number | null; // of its time to live
};

/** A statement answers few rows, with many messages in each: what they are made of is cheaper to take apart here. */
export type Row = { kind: number; body: string };

/** As a message comes over the wire: what is the same for its lane, or rarely there, does not travel with each. */
type Wire = [
  id: string,
  lane: number,
  tenant: string,
  intent: Claimed["intent"],
  traceId: string,
  idempotencyKey: string,
  createdS: number, // since 1970
  rest: Rest | null,
  payload: unknown,
];
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

/** What is said of the whole claim: `again` is how often each message was begun before that was begun before. */
type LeaseRow = {
  token: string | null;
  size: number;
  seen: number;
  again: Record<string, number> | null;
  flows: [lane: number, priority: number, tenant: string, count: number, seq: number][];
};

/** Kinds of rows: messages, what is said of the claim, and the id of a message that could not be settled. */
const messagesRow = 1;
const leaseRow = 2;
export const lostRow = 3;

/** What came of a claim. `contested`: somebody else took some of what we saw. */
export type Claim = { taken: Taken[]; leased: number; flows: Took[]; contested: boolean };

/** The messages among the rows of a claim. */
export function takenOf(rows: Row[], { worker, lanes }: Wanted): Claim {
  const said = rows.find(({ kind }) => kind === leaseRow);
  const lease = said ? (JSON.parse(said.body) as LeaseRow) : null;
  if (!lease?.token) return { taken: [], leased: 0, flows: [], contested: (lease?.seen ?? 0) > 0 };
  const { token, size, seen, again } = lease;
  const taken: Taken[] = [];
  const wires = rows.flatMap(({ kind, body }) => (kind === messagesRow ? (JSON.parse(body) as Wire[]) : []));
  for (const [id, lane, tenant, intent, traceId, idempotencyKey, createdS, rest, payload] of wires) {
    const address = lanes.get(lane);
    if (!address) continue;
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
      attempts: (again?.[id] ?? 0) + 1,
      token,
      worker,
      leftMs: rest?.left ?? null,
    });
  }
  const flows = lease.flows.map(([lane, priority, tenant, count, seq]) => ({ lane, priority, tenant, count, seq }));
  return { taken, leased: size, flows, contested: seen > size };
}

/** One walk along the index for all messages; the bounds spare the partitions where none of them can be. */
export const claimed = part`
    select 1 as kind, '[' || string_agg(concat(
             '["', m.id, '",', m.lane, ',', to_json(m.tenant), ',', to_json(m.intent), ',"', m.trace_id, '",',
             to_json(m.idempotency_key), ',', date_part('epoch', m.created_at), ',',
             case
               when m.parent_id is null and m.join_id is null and m.order_key is null and m.expires_at is null
                and m.traceparent is null and m.assignment is null and m.priority = 5 then 'null'
               else json_build_object(
                 'root', m.root_id::text, 'parent', m.parent_id::text, 'join', m.join_id::text, 'priority', m.priority,
                 'order', m.order_key, 'expires', m.expires_at,
                 'left', extract(epoch from m.expires_at - bus_now()) * 1000,
                 'traceparent', m.traceparent, 'assignment', m.assignment)::text
             end, ',', m.payload, ']'), ',') || ']' as body
    from bus_messages m
    where m.id = any (array(select message_id from taken))
      and m.id >= (select min(message_id) from taken) and m.id <= (select max(message_id) from taken)
    group by m.id / 256
    union all
    select 2, l.row::text
    from (select row from leased
          union all
          select json_build_object('token', null, 'seen', (select sum(n) from next)) where not exists (select from leased)) l`;

/** On lanes of others two workers may meet: each takes what the other has not. On its own a worker need not ask. */
const unclaimed = part`(
        select n.place, n.n from next n join bus_ready r on r.ctid = n.place for update of r skip locked)`;

/**
 * From what is asked for to one lease of all that is taken. Rows of higher priority go first; within one, the first row
 * of each flow before the second of any. Of a row, only as many messages are taken as there is room for.
 */
export function claiming({ asked, limit, own, worker, leaseMs }: Wanted): Part {
  return part`
    next as materialized (
      select place, n::integer as n
      from (
        select c.place,
               least(c.fit, ${limit} - (sum(c.fit) over (order by f.priority desc, c.before, c.seq) - c.fit)) as n
        from unnest(${array(asked.map(({ lane }) => lane))}::integer[], ${array(asked.map((one) => one.priority))}::smallint[],
                    ${asked.map(({ tenant }) => tenant)}::text[], ${array(asked.map(({ most }) => most))}::integer[],
                    ${array(asked.map(({ low }) => low))}::bigint[]) as f (lane, priority, tenant, most, low)
        cross join lateral (
          select row.place, row.seq, row.before, least(row.size, f.most - row.before) as fit
          from (
            select b.place, b.seq, b.size, sum(b.size) over (order by b.seq) - b.size as before
            from (
              select ctid as place, seq, cardinality(message_ids) as size from bus_ready
              where lane = f.lane and priority = f.priority and tenant = f.tenant and seq >= f.low
              order by seq
              limit f.most
            ) b
          ) row
          where row.before < f.most
        ) c
      ) each
      where n > 0
    ),
    cut as materialized (
      delete from bus_ready b using ${own ? part`next` : unclaimed} n
      where b.ctid = n.place
      returning b.lane, b.priority, b.tenant, b.seq, b.attempts, n.n,
                b.message_ids[1:n.n] as ids, b.message_ids[n.n + 1:] as rest
    ),
    put_back as (
      insert into bus_ready (lane, priority, tenant, seq, message_ids, attempts)
      select lane, priority, tenant, seq, rest, attempts from cut where rest <> '{}'
    ),
    taken as materialized (
      select c.lane, id as message_id, c.attempts from cut c cross join lateral unnest(c.ids) id order by id
    ),
    leased as materialized (
      insert into bus_leases (worker, message_ids, attempts, lanes, until)
      select ${worker}, array_agg(message_id), array_agg((attempts + 1)::smallint), array_agg(lane),
             bus_now() + ${leaseMs} * interval '1 millisecond'
      from taken
      having count(*) > 0
      returning json_build_object(
        'token', token::text, 'size', cardinality(message_ids), 'seen', (select sum(n) from next),
        'again', (select json_object_agg(message_id, attempts) from taken where attempts > 0),
        'flows', (select json_agg(json_build_array(lane, priority, tenant, count, seq))
                  from (select lane, priority, tenant, sum(n) as count, max(seq) as seq
                        from cut group by lane, priority, tenant) flow)) as row
    ),`;
}
