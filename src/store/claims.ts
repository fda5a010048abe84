import { Failure } from "../contracts/failure.ts";
import { array, type Part, part } from "./database.ts";
import type { Claimed, Flow } from "./messages.ts";

/** At most `most` messages of a flow, out of at most `rows` of its rows; nothing below the seq `low` is worth a look. */
export type Asked = Flow & { most: number; rows: number; low: string };

/** What a claim took of a flow: how many messages, out of how many rows, and the highest seq of those. */
export type Took = Flow & { count: number; rows: number; seq: number };

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

/** A lease as the worker that claimed it knows it. Some of its messages may have been taken out of it since. */
export type Lease = { token: string; ids: string[] };

/** A claimed message. */
export type Taken = Claimed & {
  lease: Lease; // all messages of one claim have the same
  leftMs: number | null; // of its time to live
};

/** A statement answers few rows, with many messages in each: what they are made of is cheaper to take apart here. */
export type Row = { kind: number; body: string };

/** Messages come as columns, made by `bus_wire`: their values with `mark` between them, the columns with `columnMark`. */
const mark = "\u0001";
const columnMark = "\u0002";
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
  flows: [lane: number, priority: number, tenant: string, count: number, rows: number, seq: number][];
};

/** Kinds of rows: messages, what is said of the claim, and the id of a message that could not be settled. */
const messagesRow = 1;
const leaseRow = 2;
export const lostRow = 3;

/** What came of a claim: messages, and how many characters they came in. `contested`: somebody else took some of what we saw. */
export type Claim = { taken: Taken[]; leased: number; bytes: number; flows: Took[]; contested: boolean };

export const nothing: Claim = { taken: [], leased: 0, bytes: 0, flows: [], contested: false };

/** The messages among the rows of a claim. */
export function takenOf(rows: Row[], wanted: Pick<Wanted, "worker" | "lanes">): Claim {
  const said = rows.find(({ kind }) => kind === leaseRow);
  const lease = said ? (JSON.parse(said.body) as LeaseRow) : null;
  if (!lease?.token) return { ...nothing, contested: (lease?.seen ?? 0) > 0 };
  const wires = rows.flatMap(({ kind, body }) => (kind === messagesRow ? [body] : []));
  return claimOf(wires, { ...lease, token: lease.token }, wanted);
}

/** What a lease holds, from its messages as they come over the wire. */
export function claimOf(
  wires: string[],
  { token, size, seen, again, flows }: LeaseRow & { token: string },
  { worker, lanes }: Pick<Wanted, "worker" | "lanes">,
): Claim {
  const taken: Taken[] = [];
  const lease = { token, ids: [] };
  for (const wire of wires) unpack(wire, { lease, worker, lanes, again, taken });
  return {
    taken,
    leased: size,
    bytes: wires.reduce((sum, wire) => sum + wire.length, 0),
    flows: flows.map(([lane, priority, tenant, count, rows, seq]) => ({ lane, priority, tenant, count, rows, seq })),
    contested: seen > size,
  };
}

type Unpacking = Pick<Wanted, "worker" | "lanes"> & { lease: Lease; again: LeaseRow["again"]; taken: Taken[] };

function unpack(wire: string, { lease, worker, lanes, again, taken }: Unpacking): void {
  const [
    ids = [],
    laneIds = [],
    tenants = [],
    intents = [],
    traces = [],
    keys = [],
    created = [],
    rests = [],
    payloads = [],
  ] = wire.split(columnMark).map((column) => column.split(mark));
  const parsed = JSON.parse(`[${payloads.join(",")}]`) as unknown[];
  if (parsed.length !== ids.length) throw new Failure("internal", "the columns of a claim are not of one length");
  lease.ids.push(...ids);
  for (const [n, id] of ids.entries()) {
    const lane = Number(laneIds[n]);
    const address = lanes.get(lane);
    if (!address) continue;
    const { service, role, shard } = address;
    const rest = rests[n] ? (JSON.parse(rests[n]) as Rest) : null;
    taken.push({
      id,
      lane,
      service,
      role,
      shard,
      tenant: tenants[n] ?? "",
      intent: intents[n] as Claimed["intent"],
      traceId: traces[n] ?? "",
      rootId: rest?.root ?? id,
      parentId: rest?.parent ?? null,
      joinId: rest?.join ?? null,
      idempotencyKey: keys[n] ?? "",
      priority: rest?.priority ?? 5,
      orderKey: rest?.order ?? null,
      expiresAt: rest?.expires ? new Date(rest.expires) : null,
      traceparent: rest?.traceparent ?? null,
      assignment: rest?.assignment ?? null,
      payload: parsed[n],
      createdAt: new Date(Number(created[n])),
      attempts: (again?.[id] ?? 0) + 1,
      token: lease.token,
      lease,
      worker,
      leftMs: rest?.left ?? null,
    });
  }
}

/** The messages, and what is said of the claim. */
export const claimed = part`
    select 1 as kind, bus_wire(message_ids) as body from leased
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
                    ${array(asked.map(({ rows }) => rows))}::integer[],
                    ${array(asked.map(({ low }) => low))}::bigint[]) as f (lane, priority, tenant, most, rows, low)
        cross join lateral (
          select row.place, row.seq, row.before, least(row.size, f.most - row.before) as fit
          from (
            select b.place, b.seq, b.size, sum(b.size) over (order by b.seq) - b.size as before
            from (
              select ctid as place, seq, cardinality(message_ids) as size from bus_ready
              where lane = f.lane and priority = f.priority and tenant = f.tenant and seq >= f.low
              order by seq
              limit f.rows
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
      returning message_ids, json_build_object(
        'token', token::text, 'size', cardinality(message_ids), 'seen', (select sum(n) from next),
        'again', (select json_object_agg(id, c.attempts) from cut c cross join lateral unnest(c.ids) id where c.attempts > 0),
        'flows', (select json_agg(json_build_array(lane, priority, tenant, count, rows, seq))
                  from (select lane, priority, tenant, sum(n) as count, count(*) as rows, max(seq) as seq
                        from cut group by lane, priority, tenant) flow)) as row
    ),`;
}
