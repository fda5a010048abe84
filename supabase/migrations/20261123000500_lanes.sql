-- The bus at full strength: lanes, packed leases, and a history that is dropped by partition.
--
-- A message's body is written once, in bus_messages. What changes lives in thin rows: it waits in bus_ready (due) or
-- bus_delayed (later), is held by a row of bus_leases (one for a whole claim), and each attempt that ended is one row of
-- bus_attempts, or a place in a row of bus_packs when a whole claim was done at once. These rows are the facts:
-- bus_events shows every transition as an event of its own, read from them, so no transition is written twice. What is not a transition (progress, decisions, policies) is in bus_facts.
--
-- All ids come from one sequence, so they order everything that happened. History is partitioned by ranges of that
-- sequence; a partition is closed after a while (the sequence jumps to the next) and dropped when it is old enough.
--
-- Writes: store/messages (publish, settle), store/leases (claim), store/lanes (shards), store/history (partitions).
-- Reads:  the workers, the gateway's traces and summary.

-- Both name everything they use with its schema, so they need no search path of their own; without one they are inlined
-- into the statements that call them for every row.
alter function bus_now() reset search_path;
alter function bus_event_kind(text, text) reset search_path;

-- One order for messages, leases, ends and facts. 2^24 ids are one partition; partition 0 is what was before.
create sequence bus_ids minvalue 16777216 start 16777216;
do $$
begin
  if greatest((select max(id) from bus_messages), (select max(id) from bus_events),
              (select max(token) from bus_leases)) >= 16777216 then
    raise exception 'this history is too long for partition 0; archive bus_events first';
  end if;
end $$;

-- Roles that exist, and how many shards each has. Declared by whoever runs them, from configuration.
create table bus_roles (
  service text not null check (service ~ '^[a-z]+$'),
  role    text not null check (role ~ '^[a-z]+$'),
  shards  smallint not null check (shards between 1 and 1024),
  ordered boolean not null default false,              -- one message of a key at a time, in the order of publishing
  primary key (service, role)
);

-- A lane is one shard of one role, leased to the worker that looks there first. Shards beyond a role's number take no
-- new messages and are worked off.
create table bus_lanes (
  id      integer generated always as identity primary key,
  service text not null,
  role    text not null,
  shard   smallint not null check (shard >= 0),
  worker  text,                                        -- who looks there first; null: whoever looks
  until   timestamptz,                                 -- and for how long
  unique (service, role, shard),
  foreign key (service, role) references bus_roles (service, role)
);

-- What was in the old tables goes into the new ones; their names become views of them.
alter table artifacts drop constraint artifacts_message_id_fkey, drop constraint artifacts_trace_id_fkey;
create schema bus_before;                              -- for as long as this migration runs
alter table bus_messages set schema bus_before;
alter table bus_queue    set schema bus_before;
alter table bus_leases   set schema bus_before;
alter table bus_ends     set schema bus_before;
alter table bus_events   set schema bus_before;
alter table bus_traces   set schema bus_before;

create table bus_messages (
  id              bigint not null,
  lane            integer not null,                    -- null is refused: no such role, or no such shard of it
  service         text not null,
  role            text not null,
  shard           smallint not null,
  tenant          text not null,
  intent          text not null,
  trace_id        uuid not null,
  root_id         bigint not null,                     -- the message that opened the trace; its own id for that one
  parent_id       bigint,
  join_id         bigint,                              -- the join it is a branch of
  idempotency_key text not null check (length(idempotency_key) between 1 and 220),
  priority        smallint not null default 5 check (priority between 0 and 9), -- 9 goes first
  order_key       text,                                -- of an ordered role: what keeps its order
  expires_at      timestamptz,                         -- not begun, or not ended, by then: expired
  traceparent     text,                                -- of the root: as the caller sent it
  assignment      jsonb,                               -- who was chosen, and what may be spent
  payload         json not null,                       -- stored as it came: it is handed on, not asked about
  created_at      timestamptz not null default bus_now(),
  primary key (id)
) partition by range (id);

-- "The messages of one trace, in order."
create index bus_messages_trace on bus_messages (trace_id, id);
-- "The latest traces of a tenant."
create index bus_messages_root on bus_messages (tenant, id) where parent_id is null;
-- "The branches of a join."
create index bus_messages_join on bus_messages (join_id) where join_id is not null;

-- How each attempt ended; the last one is how the message ended. `attempts` of a message that ended while it waited is
-- one more than were begun, and claimed_at is null.
create table bus_attempts (
  message_id bigint not null,
  attempts   smallint not null check (attempts > 0),
  failed_id  bigint,                                   -- dead: of the event that says it failed
  event_id   bigint not null default nextval('bus_ids'),
  lane       integer not null,
  status     text not null check (status in ('done', 'retry', 'dead', 'expired', 'cancelled')),
  token      bigint,
  worker     text,
  claimed_at timestamptz,
  ended_at   timestamptz not null default statement_timestamp(),
  delay_ms   integer,                                  -- retry: how long it waits
  result     json,
  answer     json,                                     -- done: what the trace ends with; null: it goes on
  failure    jsonb,
  why        text,                                     -- dead: why it is not tried again
  primary key (message_id, attempts),                  -- an attempt ends once
  check (status = 'retry' or status = 'done' or failure is not null)
) partition by range (message_id);

-- A whole claim whose attempts were all done in one settlement: what would be a row each in bus_attempts. A message is
-- found by its id: base <= id <= top, and its place is id - base.
create table bus_packs (
  base       bigint not null,                          -- the lowest of its ids
  top        bigint not null,                          -- the highest, less than 32768 above it
  event_id   bigint not null,
  token      bigint not null,
  worker     text not null,
  claimed_at timestamptz not null,
  ended_at   timestamptz not null default statement_timestamp(),
  places     smallint[] not null,
  attempts   smallint[] not null,                      -- of each
  results    text not null,                            -- of each, one line of JSON
  answers    text not null,
  check (top - base between 0 and 32767)
) partition by range (base);

alter table bus_packs alter results set storage external, alter answers set storage external; -- read once, if ever

-- "How did this message end?"
create index bus_packs_where on bus_packs (base, top);

-- How a trace ended that was not ended by an answer (that is in bus_attempts). The first end counts.
create table bus_trace_ends (
  root_id  bigint not null,
  event_id bigint not null default nextval('bus_ids'),
  status   text not null check (status in ('done', 'failed')),
  answer   jsonb,
  failure  jsonb,
  ended_at timestamptz not null default bus_now(),
  primary key (root_id),
  check ((status = 'done') = (answer is not null)),
  check ((status = 'failed') = (failure is not null))
) partition by range (root_id);

-- Facts that are no transition, appended in the transaction that makes them, never changed, driving nothing.
create table bus_facts (
  id              bigint not null default nextval('bus_ids'),
  at              timestamptz not null default clock_timestamp(),
  kind            text not null check (kind ~ '^[a-z]+(_[a-z]+)+$'),   -- 'orchestrate_decision'
  service         text,
  role            text,
  shard           smallint,
  tenant          text,
  intent          text,
  trace_id        uuid,
  message_id      bigint,
  idempotency_key text,
  attempts        smallint,
  worker          text,
  agent_id        text,
  agent_version   text,
  canary          boolean not null default false,
  details         jsonb not null default '{}'
) partition by range (id);

-- "The facts of this trace, in order."
create index bus_facts_trace on bus_facts (trace_id, id);
-- "Facts of a kind in a window of time", for the summaries.
create index bus_facts_kind on bus_facts (kind, at);

-- One row a partition of the history: which ids it holds, and when it was closed.
create table bus_partitions (
  number    integer primary key check (number >= 0),   -- ids [number · 2^24, (number + 1) · 2^24)
  opened_at timestamptz not null default bus_now(),
  closed_at timestamptz                                 -- nothing new comes in since
);

-- Makes a partition of each history table. Attached, not created in place: writers are not stopped meanwhile.
create function bus_open_partition(wanted integer) returns void
  language plpgsql
  set search_path = ''
  as $$
declare
  base text;
  name text;
begin
  foreach base in array array['bus_messages', 'bus_attempts', 'bus_packs', 'bus_trace_ends', 'bus_facts'] loop
    name := base || '_' || wanted;
    execute pg_catalog.format('create table public.%I (like public.%I including defaults including constraints including storage)',
                              name, base);
    execute pg_catalog.format('alter table public.%I enable row level security', name);
    execute pg_catalog.format('alter table public.%I attach partition public.%I for values from (%s) to (%s)',
                              base, name, wanted::bigint << 24, (wanted + 1)::bigint << 24);
  end loop;
  insert into public.bus_partitions (number) values (wanted);
end $$;

select bus_open_partition(n) from generate_series(0, 3) n;

-- The keys of requests, with a time to live of their own: asking twice is asking once. A caller's own trace id is taken
-- the same way, under the scope 'trace'.
create table bus_keys (
  scope        text not null,                          -- 'acme/chat.ask'
  key          text not null check (length(key) between 1 and 200),
  message_id   bigint not null,
  trace_id     uuid not null,
  request_hash text not null,                          -- of the first request under this key; another one is refused
  expires_at   timestamptz not null,
  primary key (scope, key)
);

-- "Keys that have lived long enough." They come in the order of time, so a coarse index does.
create index bus_keys_expired on bus_keys using brin (expires_at);

-- What is due: messages of one tenant that came together, up to 64 in a row. A row is deleted when it is claimed, never
-- changed; what of it was not claimed comes back under the same seq.
create table bus_ready (
  lane        integer not null,
  priority    smallint not null,
  tenant      text not null,
  seq         bigint not null default nextval('bus_ids'), -- messages that were never begun have the first of their ids
  message_ids bigint[] not null,
  attempts    smallint not null                        -- begun so far, of each
);

-- "The next messages of one tenant on this lane", and, skipping from tenant to tenant, "who has messages here". Taking
-- turns between tenants is what keeps a flood of one from starving the others.
create unique index bus_ready_next on bus_ready (lane, priority desc, tenant, seq);

-- What is due later: retries and delays.
create table bus_delayed (
  due_at     timestamptz not null,
  lane       integer not null,
  priority   smallint not null,
  tenant     text not null,
  message_id bigint not null,
  attempts   smallint not null
);

-- "What has become due on these lanes, and what is next."
create index bus_delayed_due on bus_delayed (lane, due_at);

-- One row a claim, however many messages it took. `token` fences: who does not hold it may not settle. A message of the
-- claim is settled when its attempt has a row in bus_attempts.
create table bus_leases (
  token       bigint primary key default nextval('bus_ids'),
  worker      text not null,
  message_ids bigint[] not null,
  attempts    smallint[] not null,                     -- of each message, this one included
  lanes       integer[] not null,
  claimed_at  timestamptz not null default clock_timestamp(),
  until       timestamptz not null
);
alter table bus_leases alter message_ids set storage external, alter attempts set storage external,
                       alter lanes set storage external; -- gone in a moment: not worth compressing

-- Messages of ordered roles that have not ended. The first of each key is under way, the others wait for it.
create table bus_lines (
  service    text not null,
  role       text not null,
  order_key  text not null,
  message_id bigint not null,
  lane       integer not null,
  priority   smallint not null,
  tenant     text not null,
  place      bigint not null default nextval('bus_ids'), -- drawn when nobody else could stand behind this key
  primary key (service, role, order_key, message_id)
);

-- Times to live of messages that have one. Gone when they are over.
create table bus_deadlines (
  expires_at timestamptz not null,
  message_id bigint not null
);

-- "What has expired."
create index bus_deadlines_due on bus_deadlines (expires_at);

-- Traces that were called off while work on them was under way. Workers see it with their heartbeat.
create table bus_cancels (
  root_id      bigint primary key,
  cancelled_at timestamptz not null default bus_now()
);

-- Branches that must all end before `next` goes out.
create table bus_joins (
  id        bigint primary key default nextval('bus_ids'),
  parent_id bigint not null,                           -- the message whose outcome opened it
  open      integer not null check (open >= 0),
  next      jsonb not null                             -- the message to publish, without the branches' results
);

-- Waiting for a person or a callback. No lease is held; the answer, or its absence, publishes a message.
create table bus_waits (
  id          bigint primary key default nextval('bus_ids'),
  kind        text not null check (kind ~ '^[a-z]+$'), -- 'approval', 'callback'
  tenant      text not null references tenants (id),
  trace_id    uuid not null,
  message_id  bigint not null,
  asked       jsonb not null,                          -- what is shown to whoever answers
  secret_hash bytea,                                   -- SHA-256 of a token that may answer; null: only who may by policy
  next        jsonb not null,
  on_expiry   jsonb,                                   -- what is published instead; null: the trace fails as expired
  opened_at   timestamptz not null default bus_now(),
  expires_at  timestamptz not null,
  answered_at timestamptz,                             -- answered or expired
  answer      jsonb,
  answered_by text
);

-- "What waits to be answered, the oldest first", and "what has waited too long".
create index bus_waits_open on bus_waits (tenant, id) where answered_at is null;
create index bus_waits_due on bus_waits (expires_at) where answered_at is null;

-- Dead letters keep their body: they outlive the partition of their message.
create table bus_dead (
  message_id  bigint primary key,
  tenant      text not null,
  service     text not null,
  role        text not null,
  shard       smallint not null,
  trace_id    uuid not null,
  died_at     timestamptz not null default bus_now(),
  failure     jsonb not null,
  body        jsonb not null,                          -- the row of bus_messages
  replays     integer not null default 0,
  replayed_at timestamptz
);

-- "The dead letters of a tenant, latest first."
create index bus_dead_latest on bus_dead (tenant, died_at desc);

-- What changed, one row a transaction and lane, folded every second into the two tables below. Their sum is exact.
create table bus_deltas (
  lane      integer not null,
  at        timestamptz not null default bus_now(),
  ready     integer not null default 0,
  delayed   integer not null default 0,
  held      integer not null default 0,
  accepted  integer not null default 0,
  done      integer not null default 0,
  retried   integer not null default 0,
  dead      integer not null default 0,
  expired   integer not null default 0,
  cancelled integer not null default 0
);

-- How much waits and is held on each lane.
create table bus_backlog (
  lane    integer primary key,
  ready   bigint not null,
  delayed bigint not null,
  held    bigint not null
);

-- How many messages took each step, in spans of ten seconds.
create table bus_tallies (
  at        timestamptz not null,
  lane      integer not null,
  accepted  bigint not null,
  done      bigint not null,
  retried   bigint not null,
  dead      bigint not null,
  expired   bigint not null,
  cancelled bigint not null,
  primary key (at, lane)
);

-- Lets a message of an ordered role stand in line behind those of its key; the first is ready. One transaction at a
-- time for each key, so that two publishers agree who is first.
create function bus_line_up(service text, role text, order_key text, message_id bigint, lane integer,
                            priority smallint, tenant text) returns boolean
  language plpgsql
  set search_path = ''
  as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('bus_line ' || service || '.' || role || ' ' || order_key, 0));
  insert into public.bus_lines values (service, role, order_key, message_id, lane, priority, tenant);
  return not exists (select from public.bus_lines l
                     where l.service = bus_line_up.service and l.role = bus_line_up.role
                       and l.order_key = bus_line_up.order_key and l.message_id <> bus_line_up.message_id);
end $$;

-- Takes an ended message out of its line; answers the next one of the key, which is then ready.
create function bus_line_next(ended bigint, service text, role text, order_key text) returns setof bus_lines
  language plpgsql
  set search_path = ''
  as $$
declare
  was_first boolean;
begin
  perform pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('bus_line ' || service || '.' || role || ' ' || order_key, 0));
  select (select l.message_id from public.bus_lines l
          where l.service = bus_line_next.service and l.role = bus_line_next.role
            and l.order_key = bus_line_next.order_key
          order by l.place limit 1) = ended into was_first;
  delete from public.bus_lines l
  where l.service = bus_line_next.service and l.role = bus_line_next.role
    and l.order_key = bus_line_next.order_key and l.message_id = ended;
  if found and was_first then
    return query select * from public.bus_lines l
      where l.service = bus_line_next.service and l.role = bus_line_next.role and l.order_key = bus_line_next.order_key
      order by l.place limit 1;
  end if;
end $$;

-- What is held now: the messages of the leases that are not settled.
create view bus_held with (security_invoker = true) as
  select l.token, l.worker, l.claimed_at, l.until, h.message_id, h.attempts, h.lane
  from bus_leases l
  cross join lateral unnest(l.message_ids, l.attempts, l.lanes) as h (message_id, attempts, lane)
  where not exists (select from bus_attempts a where a.message_id = h.message_id and a.attempts = h.attempts);

-- What waits: now or later.
create view bus_queue with (security_invoker = true) as
  select unnest(r.message_ids) as message_id, r.lane, r.priority, r.tenant, r.attempts, null::timestamptz as due_at
  from bus_ready r
  union all
  select d.message_id, d.lane, d.priority, d.tenant, d.attempts, d.due_at from bus_delayed d;

-- The attempts that were done together with all of their claim, each as a row. Ask for messages by their id.
create view bus_packed with (security_invoker = true) as
  select m.id as message_id, m.lane, m.trace_id, m.root_id, p.attempts[n] as attempts, p.event_id, p.token, p.worker,
         p.claimed_at, p.ended_at, (string_to_array(p.results, E'\n'))[n]::json as result,
         nullif((string_to_array(p.answers, E'\n'))[n], 'null')::json as answer
  from bus_messages m
  join bus_packs p on p.base <= m.id and p.base > m.id - 32768 and p.top >= m.id
  cross join lateral array_position(p.places, (m.id - p.base)::smallint) as n
  where n is not null;

-- How messages ended.
create view bus_ends with (security_invoker = true) as
  select a.message_id, a.status, (a.attempts - (a.claimed_at is null)::int)::smallint as attempts,
         a.result::jsonb as result, a.failure, a.ended_at
  from bus_attempts a
  where a.status <> 'retry'
  union all
  select p.message_id, 'done', p.attempts, p.result::jsonb, null, p.ended_at
  from bus_packed p;

-- A trace is what its root opened, and how it first ended.
create view bus_traces with (security_invoker = true) as
  select m.trace_id, m.tenant, m.intent, m.idempotency_key, m.traceparent, coalesce(e.status, 'open') as status,
         e.answer, e.failure, m.created_at as opened_at, e.ended_at, m.id as root_id
  from bus_messages m
  left join lateral (
    select each.status, each.answer, each.failure, each.ended_at
    from (
      select t.status, t.answer, t.failure, t.ended_at, t.event_id from bus_trace_ends t where t.root_id = m.id
      union all
      select 'done', a.answer::jsonb, null, a.ended_at, a.event_id
      from bus_messages own join bus_attempts a on a.message_id = own.id
      where own.trace_id = m.trace_id and own.root_id = m.id and a.answer is not null
      union all
      select 'done', a.answer::jsonb, null, a.ended_at, a.event_id
      from bus_packed a
      where a.trace_id = m.trace_id and a.root_id = m.id and a.answer is not null
    ) each
    order by each.event_id
    limit 1
  ) e on true
  where m.parent_id is null;

-- All that happened, one row an event: the transitions as the tables above hold them, and the facts. Those of partition
-- 0 were written before the transitions could be read from their tables, and are all facts.
create view bus_events with (security_invoker = true) as
  select m.id, m.created_at as at, bus_event_kind(m.service, 'accepted') as kind, m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id as message_id, m.idempotency_key, 0::smallint as attempts, null::text as worker,
         m.assignment ->> 'agent_id' as agent_id, m.assignment ->> 'agent_version' as agent_version,
         coalesce((m.assignment ->> 'canary')::boolean, false) as canary, '{}'::jsonb as details
  from bus_messages m
  where m.id >= 16777216
  union all
  select l.token, l.claimed_at, bus_event_kind(m.service, 'acked'), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, l.attempts[array_position(l.message_ids, m.id)], l.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false), '{}'::jsonb
  from bus_messages m
  join bus_leases l on m.id = any (l.message_ids)
  where not exists (select from bus_attempts a
                    where a.message_id = m.id and a.attempts = l.attempts[array_position(l.message_ids, m.id)])
  union all
  select case step.what when 'acked' then a.token when 'failed' then coalesce(a.failed_id, a.event_id) else a.event_id end,
         case step.what when 'acked' then a.claimed_at else a.ended_at end,
         bus_event_kind(m.service, step.what), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, (a.attempts - (a.claimed_at is null)::int)::smallint, a.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false),
         case step.what
           when 'retry' then jsonb_build_object('failure', a.failure, 'delay_ms', a.delay_ms, 'why', a.why)
           when 'failed' then jsonb_build_object('failure', a.failure)
           when 'dead' then jsonb_build_object('why', a.why)
           when 'expired' then jsonb_build_object('failure', a.failure)
           when 'cancelled' then jsonb_build_object('failure', a.failure)
           else '{}'::jsonb
         end
  from bus_messages m
  join bus_attempts a on a.message_id = m.id
  cross join lateral (
    select unnest(case
      when a.claimed_at is null then array[a.status]
      when a.status = 'dead' then array['acked', 'failed', 'dead']
      else array['acked', a.status]
    end) as what
  ) step
  where a.event_id >= 16777216
  union all
  select case step.what when 'acked' then p.token else p.event_id end,
         case step.what when 'acked' then p.claimed_at else p.ended_at end,
         bus_event_kind(m.service, step.what), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, p.attempts[n], p.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false), '{}'::jsonb
  from bus_messages m
  join bus_packs p on p.base <= m.id and p.base > m.id - 32768 and p.top >= m.id
  cross join lateral array_position(p.places, (m.id - p.base)::smallint) as n
  cross join lateral (values ('acked'), ('done')) as step (what)
  where n is not null
  union all
  select f.id, f.at, f.kind, f.service, f.role, f.shard, f.tenant, f.intent, f.trace_id, f.message_id, f.idempotency_key,
         f.attempts, f.worker, f.agent_id, f.agent_version, f.canary, f.details
  from bus_facts f;

-- What was there before, and the roles that come with the product.
insert into bus_roles (service, role, shards)
select service, role, greatest(4, max(shard) + 1)
from (
  select service, role, shard from bus_before.bus_messages
  union all
  values ('chat', 'ask', 0), ('rag', 'index', 0), ('rag', 'query', 0), ('orchestrator', 'decide', 0),
         ('executor', 'execute', 0), ('codegen', 'generate', 0), ('buildtest', 'run', 0)
) known
group by service, role;
insert into bus_lanes (service, role, shard)
select service, role, n from bus_roles cross join lateral generate_series(0, shards - 1) n;
insert into bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, parent_id, idempotency_key,
                          traceparent, assignment, payload, created_at)
select m.id, l.id, m.service, m.role, m.shard, m.tenant, m.intent, m.trace_id,
       (select min(r.id) from bus_before.bus_messages r where r.trace_id = m.trace_id), m.parent_id, m.idempotency_key,
       case when m.parent_id is null then t.traceparent end, m.assignment, m.payload::json, m.created_at
from bus_before.bus_messages m
join bus_before.bus_traces t on t.trace_id = m.trace_id
join bus_lanes l on (l.service, l.role, l.shard) = (m.service, m.role, m.shard);
insert into bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
select m.tenant || '/' || m.service || '.' || m.role, t.idempotency_key, m.id, t.trace_id, t.request_hash,
       t.opened_at + interval '7 days'
from bus_before.bus_traces t join bus_before.bus_messages m on m.trace_id = t.trace_id and m.parent_id is null;
insert into bus_trace_ends (root_id, status, answer, failure, ended_at)
select m.id, t.status, t.answer, t.failure, t.ended_at
from bus_before.bus_traces t join bus_before.bus_messages m on m.trace_id = t.trace_id and m.parent_id is null
where t.status <> 'open';
insert into bus_attempts (message_id, attempts, event_id, lane, status, claimed_at, ended_at, result, failure, why)
select e.message_id, e.attempts, e.message_id, m.lane, e.status, e.ended_at, e.ended_at, e.result::json, e.failure,
       case e.status when 'dead' then e.failure ->> 'message' end
from bus_before.bus_ends e join bus_messages m on m.id = e.message_id;
insert into bus_facts
select id, at, kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key, attempts, worker,
       agent_id, agent_version, canary, details
from bus_before.bus_events;
insert into bus_ready (lane, priority, tenant, message_ids, attempts)
select m.lane, m.priority, m.tenant, array[m.id], q.attempts
from (select message_id, attempts, due_at from bus_before.bus_queue
      union all select message_id, attempts, claimed_at from bus_before.bus_leases) q
join bus_messages m on m.id = q.message_id
order by q.due_at, m.id;
insert into bus_dead (message_id, tenant, service, role, shard, trace_id, died_at, failure, body)
select m.id, m.tenant, m.service, m.role, m.shard, m.trace_id, e.ended_at, e.failure, to_jsonb(m)
from bus_before.bus_ends e join bus_messages m on m.id = e.message_id
where e.status = 'dead';
insert into bus_backlog (lane, ready, delayed, held) select lane, count(*), 0, 0 from bus_ready group by lane;
drop schema bus_before cascade;

alter table bus_roles      enable row level security;
alter table bus_lanes      enable row level security;
alter table bus_messages   enable row level security;
alter table bus_attempts   enable row level security;
alter table bus_packs      enable row level security;
alter table bus_trace_ends enable row level security;
alter table bus_facts      enable row level security;
alter table bus_partitions enable row level security;
alter table bus_keys       enable row level security;
alter table bus_ready      enable row level security;
alter table bus_delayed    enable row level security;
alter table bus_leases     enable row level security;
alter table bus_lines      enable row level security;
alter table bus_deadlines  enable row level security;
alter table bus_cancels    enable row level security;
alter table bus_joins      enable row level security;
alter table bus_waits      enable row level security;
alter table bus_dead       enable row level security;
alter table bus_deltas     enable row level security;
alter table bus_backlog    enable row level security;
alter table bus_tallies    enable row level security;
