import { Failure } from "../contracts/failure.ts";
import {
  type Claim,
  claimed,
  claiming,
  type Lease,
  lostRow,
  nothing,
  type Row,
  takenOf,
  type Wanted,
} from "./claims.ts";
import { array, isStorable, jsonText, type Part, part, type Sql } from "./database.ts";
import { type Fact, factRows, insertFacts } from "./facts.ts";
import { allowedOf, type Claimed, type Draft, refused, storing, wantedOf } from "./messages.ts";

/** An attempt that ended well. */
export type Done = {
  message: Claimed;
  result: unknown;
  answer: unknown; // ends the trace; null: it goes on
  next: Draft[];
  records: Fact[];
};

/** What was done since the last round, and what is wanted next. */
export type Round = Wanted & {
  done: Done[];
  packs: Done[][]; // whole claims, each in the order of its ids
  freed: Lease[]; // of which nothing is left, or will be when `done` is settled
};

/**
 * One round of a worker, in one statement and one commit: settles what was done, and takes up to `limit` of the due
 * messages of the flows it asks for, higher priorities first and one of each tenant in turn. Answers those, and the ids
 * of what could not be settled because its lease is gone: nothing of it was written. `contested`: another worker took
 * some of what we saw, so less than was asked for does not mean that there is no more.
 *
 * A round that only claims does not wait for the disk. When the server dies in that moment, the messages were never
 * claimed, and nothing that came of them can have been settled: that would have waited for both.
 */
export async function step(sql: Sql, round: Round): Promise<Stepped> {
  const { packs, freed } = round;
  const done = [...round.done, ...packs.flat()];
  const claims = round.limit > 0 && round.asked.length > 0;
  if (done.length === 0) return claims ? claimOnly(sql, round) : letGo(sql, round);
  const rows = await sql<Row[]>`
    with ${settlingRows(round)} ${packs.length > 0 ? settlingPacks(round) : empty}
    settled as materialized (
      select message_id, lane from ended ${packs.length > 0 ? packedEnds : empty}
    ),
    freed as (
      ${freeing(freed, round.worker)} and (select count(*) from settled) >= 0
    ),
    ${done.some(({ next }) => next.length > 0) ? following(done) : empty}
    ${done.some(({ records }) => records.length > 0) ? noting(done, round.worker) : empty}
    ${claims ? claiming(round) : empty}
    moved as (
      insert into bus_deltas (lane, ready, held, done)
      select lane, sum(ready), sum(held), sum(done)
      from (${claims ? part`select lane, -1 as ready, 1 as held, 0 as done from taken union all` : empty}
            select lane, 0 as ready, -1 as held, 1 as done from settled) each
      group by lane
    )
    ${claims ? part`${claimed} union all` : empty}
    select 3 as kind, e.message_id::text as body
    from ends e
    where not exists (select from held h where h.token = e.token and e.message_id = any (h.message_ids))
    ${packs.length > 0 ? lostPacks : empty}`.catch(endedTwice);
  const lost = rows.filter(({ kind }) => kind === lostRow).map(({ body }) => body);
  return { ...takenOf(rows, round), lost };
}

async function claimOnly(sql: Sql, round: Round): Promise<Stepped> {
  const rows = await sql<Row[]>`
    with freed as (${freeing(round.freed, round.worker)}),
    ${claiming(round)}
    moved as (
      insert into bus_deltas (lane, ready, held) select lane, -sum(n), sum(n) from cut group by lane
    )
    ${claimed}
    where set_config('synchronous_commit', 'off', true) is not null`;
  return { ...takenOf(rows, round), lost: [] };
}

async function letGo(sql: Sql, { freed, worker }: Round): Promise<Stepped> {
  await sql`${freeing(freed, worker)}`;
  return { ...nothing, lost: [] };
}

/** A lease goes when it is as we know it: what others left in it is still somebody's. */
function freeing(freed: Lease[], worker: string): Part {
  return part`
    delete from bus_leases l
    using rows from (
      unnest(${array(freed.map(({ token }) => token))}::bigint[]),
      string_to_table(${freed.map(({ ids }) => array(ids)).join(between)}, E'\x01')
    ) as f (token, ids)
    where l.token = f.token and l.worker = ${worker} and l.message_ids = f.ids::bigint[]`;
}

export type Stepped = Claim & { lost: string[] };

const empty = part``;

/** An attempt that has ended already cannot end again, whoever asks. */
export function endedTwice(error: unknown): never {
  const { code, table } =
    typeof error === "object" && error !== null ? (error as { code?: string; table?: string }) : {};
  if (code !== "23505" || !table?.startsWith("bus_attempts")) refused(error);
  throw new Failure("lease_lost", "an attempt of these has ended already", { cause: error });
}

/** `held` is the fence: who does not hold the lease settles nothing. */
function settlingRows({ done, worker }: Round): Part {
  const ends = done.map(({ message }) => message);
  return part`
    ends as (
      select e.token, e.message_id, e.attempts, e.lane, nullif(e.result, 'null')::json as result,
             nullif(e.answer, 'null')::json as answer
      from rows from (
        unnest(${array(ends.map(({ token }) => token))}::bigint[]), unnest(${array(ends.map(({ id }) => id))}::bigint[]),
        unnest(${array(ends.map(({ attempts }) => attempts))}::smallint[]),
        unnest(${array(ends.map(({ lane }) => lane))}::integer[]),
        string_to_table(${linesOf(done, ({ result }) => result)}, E'\n'),
        string_to_table(${linesOf(done, ({ answer }) => answer)}, E'\n')
      ) as e (token, message_id, attempts, lane, result, answer)
    ),
    held as materialized (
      select token, claimed_at, message_ids from bus_leases
      where token = any (array(select token from ends)) and worker = ${worker}
      for key share
    ),
    drawn as materialized (select nextval('bus_ids') as id),
    ended as (
      insert into bus_attempts (message_id, attempts, event_id, lane, status, token, worker, claimed_at, result, answer)
      select e.message_id, e.attempts, (select id from drawn), e.lane, 'done', e.token, ${worker}, h.claimed_at, e.result,
             e.answer
      from ends e join held h on h.token = e.token and e.message_id = any (h.message_ids)
      returning message_id, lane
    ),`;
}

/** One line of JSON for each. */
function linesOf(done: Done[], of: (one: Done) => unknown): string {
  const lines = done.map((one) => JSON.stringify(of(one) ?? null)).join("\n");
  return isStorable(lines) ? lines : done.map((one) => jsonText(of(one))).join("\n");
}

/** Between what belongs to one pack and to the next; no JSON has it. */
const between = "\u0001";

/** Taking the lease away is the fence here: no token is given twice, and nothing may have been taken out of it since. */
function settlingPacks({ packs, worker }: Round): Part {
  const idsOf = packs.map((pack) => pack.map(({ message }) => Number(message.id)));
  const bases = idsOf.map((ids) => Math.min(...ids));
  return part`
    packs as materialized (
      select p.base, p.top, p.token, p.places::smallint[] as places, p.attempts::smallint[] as attempts, p.results,
             p.answers
      from rows from (
        unnest(${array(bases)}::bigint[]), unnest(${array(idsOf.map((ids) => Math.max(...ids)))}::bigint[]),
        unnest(${array(packs.map(([first]) => first?.message.token ?? "0"))}::bigint[]),
        string_to_table(${idsOf.map((ids, n) => array(ids.map((id) => id - (bases[n] ?? 0)))).join(between)}, E'\x01'),
        string_to_table(${packs.map((pack) => array(pack.map(({ message }) => message.attempts))).join(between)}, E'\x01'),
        string_to_table(${packs.map((pack) => linesOf(pack, ({ result }) => result)).join(between)}, E'\x01'),
        string_to_table(${packs.map((pack) => linesOf(pack, ({ answer }) => answer)).join(between)}, E'\x01')
      ) as p (base, top, token, places, attempts, results, answers)
    ),
    closed as (
      delete from bus_leases l using packs p
      where l.token = p.token and l.worker = ${worker} and cardinality(l.message_ids) = cardinality(p.places)
      returning l.token, l.claimed_at, l.message_ids, l.lanes
    ),
    packed as (
      insert into bus_packs (base, top, event_id, token, worker, claimed_at, places, attempts, results, answers)
      select p.base, p.top, (select id from drawn), p.token, ${worker}, c.claimed_at, p.places, p.attempts, p.results,
             p.answers
      from packs p join closed c using (token)
    ),`;
}

const packedEnds = part`
      union all
      select h.message_id, h.lane from closed c cross join lateral unnest(c.message_ids, c.lanes) as h (message_id, lane)`;

const lostPacks = part`
    union all
    select 3, (p.base + place)::text
    from packs p cross join lateral unnest(p.places) place
    where not exists (select from closed c where c.token = p.token)`;

/** The messages that follow. A trace that was called off goes nowhere. */
function following(done: Done[]): Part {
  const drafts = done.flatMap(({ next }) => next);
  return part`
    ${wantedOf(drafts, { after: part`cross join drawn` })},
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
