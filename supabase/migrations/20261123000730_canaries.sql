-- Canaries under test: how a canary and its stable did since the test began, counted by the sweep with each end.
--
-- Writes: /api/agents (the test begins, and begins anew), the sweep in the workers.
-- Reads:  the sweep, GET /api/agents, GET /api/metrics/orchestrator/summary.

create table registry_canaries (
  agent_id      text not null,                          -- the canary
  agent_version text not null,
  since         timestamptz not null default bus_now(), -- decisions before it do not count
  canary_good   bigint not null default 0 check (canary_good >= 0),
  canary_bad    bigint not null default 0 check (canary_bad >= 0),
  stable_good   bigint not null default 0 check (stable_good >= 0),
  stable_bad    bigint not null default 0 check (stable_bad >= 0),
  state         jsonb not null default '{}',            -- what the test remembers besides
  verdict       text not null default 'open' check (verdict in ('open', 'worse', 'not_worse')),

  primary key (agent_id, agent_version),
  foreign key (agent_id, agent_version) references registry_agents (id, version) on delete cascade
);

-- What came of a copy for a shadow, beside what the caller was answered.
alter table registry_decisions add column compared jsonb;

alter table registry_canaries enable row level security;
