-- The bus: messages waiting for work, and the facts about what became of them.
--
-- A message's body is written once. What changes lives in thin rows beside it: it waits in bus_queue, is held
-- in bus_leases, and ends in bus_ends. Exactly one of the three holds it at any time, because each step is one
-- statement that deletes from one and inserts into the next.
--
-- Writes: store/messages (publish, claim, settle), store/traces, store/events.
-- Reads:  the workers, the gateway's traces and summary.

-- The only clock of the database. Tests replace it; leases and delays of several machines never meet another.
create function bus_now() returns timestamptz
  language sql stable parallel safe
  set search_path = ''
  as $$ select pg_catalog.statement_timestamp() $$;

-- Events are named after what a service does: 'orchestrate_done'. A service that is not ours keeps its own name.
create function bus_event_kind(service text, what text) returns text
  language sql immutable parallel safe
  set search_path = ''
  as $$
    select case service
      when 'chat' then 'gateway'
      when 'orchestrator' then 'orchestrate'
      when 'executor' then 'execute'
      else service
    end || '_' || what
  $$;

create table tenants (
  id         text primary key check (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  created_at timestamptz not null default bus_now()
);
insert into tenants (id) values ('local');

-- All that one request caused. It is also the record of the request's idempotency key.
create table bus_traces (
  trace_id        uuid primary key,
  tenant          text not null references tenants (id),
  intent          text not null,
  idempotency_key text not null check (idempotency_key ~ '^[\x21-\x7e]{1,200}$'),
  request_hash    text not null,                       -- of the first request under this key; another body is refused
  traceparent     text,                                -- as the caller sent it
  status          text not null default 'open' check (status in ('open', 'done', 'failed')),
  answer          jsonb,
  failure         jsonb,
  opened_at       timestamptz not null default bus_now(),
  ended_at        timestamptz,

  check ((status = 'open') = (ended_at is null)),
  check ((status = 'done') = (answer is not null)),
  check ((status = 'failed') = (failure is not null)),
  unique (tenant, idempotency_key)                     -- asking twice is asking once
);

-- "The latest traces of a tenant."
create index bus_traces_latest on bus_traces (tenant, opened_at desc);

create table bus_messages (
  id              bigint generated always as identity primary key,
  service         text not null check (service ~ '^[a-z]+$'),
  role            text not null check (role ~ '^[a-z]+$'),
  shard           smallint not null check (shard >= 0),
  tenant          text not null references tenants (id),
  intent          text not null,
  trace_id        uuid not null references bus_traces (trace_id),
  parent_id       bigint references bus_messages (id),
  idempotency_key text not null check (idempotency_key ~ '^[\x21-\x7e]{1,220}$'),
  assignment      jsonb,                               -- who was chosen, and what may be spent
  payload         jsonb not null,
  created_at      timestamptz not null default bus_now(),

  unique (tenant, service, role, idempotency_key)      -- publishing twice is publishing once
);

-- "The messages of one trace, in order."
create index bus_messages_trace on bus_messages (trace_id, id);

-- What waits: now or later.
create table bus_queue (
  message_id bigint primary key references bus_messages (id),
  service    text not null,
  role       text not null,
  shard      smallint not null,
  attempts   smallint not null default 0 check (attempts >= 0),  -- attempts begun so far
  due_at     timestamptz not null default bus_now()
);

-- "The oldest due messages of a role." What claim() walks, in its order.
create index bus_queue_due on bus_queue (service, role, due_at, message_id);

-- What is being worked on. `token` fences: who does not hold it may not settle.
create table bus_leases (
  message_id bigint primary key references bus_messages (id),
  token      bigint generated always as identity unique,
  worker     text not null,
  service    text not null,
  role       text not null,
  shard      smallint not null,
  attempts   smallint not null check (attempts > 0),             -- this one included
  claimed_at timestamptz not null default bus_now(),
  until      timestamptz not null
);

-- "Leases that ran out."
create index bus_leases_until on bus_leases (until);

-- How a message ended. A dead letter is a row with status 'dead' that was not replayed.
create table bus_ends (
  message_id bigint primary key references bus_messages (id),
  status     text not null check (status in ('done', 'dead', 'expired', 'cancelled')),
  attempts   smallint not null,
  result     jsonb,
  failure    jsonb,
  ended_at   timestamptz not null default bus_now(),

  check ((status = 'done') = (failure is null))
);

-- "The dead letters, latest first."
create index bus_ends_dead on bus_ends (ended_at desc) where status = 'dead';

-- Facts, appended in the transaction that makes them, never changed, driving nothing.
create table bus_events (
  id              bigint generated always as identity primary key,
  at              timestamptz not null default clock_timestamp(),
  kind            text not null check (kind ~ '^[a-z]+(_[a-z]+)+$'),   -- 'codegen_done'
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
);

-- "All that happened in this trace, in order."
create index bus_events_trace on bus_events (trace_id, id);

-- "Events of a kind in a window of time", for the summary.
create index bus_events_kind on bus_events (kind, at);

-- Workers that are alive, for the summary. A row is a heartbeat, nothing depends on it.
create table bus_workers (
  id           text primary key,
  kind         text not null check (kind in ('worker', 'sandbox')),
  roles        text[] not null default '{}',
  facts        jsonb not null default '{}',            -- a sandbox worker: class, slots, why it refuses
  started_at   timestamptz not null default bus_now(),
  heartbeat_at timestamptz not null default bus_now()
);

-- Supabase exposes public tables over HTTP. No policy is written: nobody but the owner may read or write.
alter table tenants      enable row level security;
alter table bus_traces   enable row level security;
alter table bus_messages enable row level security;
alter table bus_queue    enable row level security;
alter table bus_leases   enable row level security;
alter table bus_ends     enable row level security;
alter table bus_events   enable row level security;
alter table bus_workers  enable row level security;
