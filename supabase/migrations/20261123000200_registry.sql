-- Registry: who can do which work, and how much canary traffic they may take.
--
-- Reads:  orchestrator.decide, GET /api/agents.
-- Writes: app at start (the agents this configuration brings), heartbeats of the process that brings them.

create table registry_agents (
  id           text not null check (id ~ '^[a-z0-9][a-z0-9.:_-]{0,63}$'),
  version      text not null,
  service_role text not null,                          -- the role it can play: 'executor.execute'
  intents      text[] not null check (cardinality(intents) > 0),
  reach        text not null check (reach in ('builtin', 'openai')),  -- how it is reached
  target       text not null,                          -- builtin: the role that does the work; openai: the model's name
  capacity     integer not null default 1 check (capacity > 0),       -- pieces of work at one time
  price_usd    numeric not null default 0 check (price_usd >= 0),     -- per 1,000 tokens
  tenants      text[] not null default '{}',           -- empty: every tenant
  canary_pct   smallint not null default 0 check (canary_pct between 0 and 100),
  enabled      boolean not null default true,
  heartbeat_at timestamptz not null default bus_now(),
  created_at   timestamptz not null default bus_now(),
  primary key (id, version)
);

-- "Who plays this role?" Every one of them is a candidate; the excluded ones are told why.
create index registry_agents_role on registry_agents (service_role);

alter table registry_agents enable row level security;
