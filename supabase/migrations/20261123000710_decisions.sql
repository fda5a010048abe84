-- Decisions: whom the orchestrator chose for a piece of work and why, how that ended, and what is known of each agent
-- because of it.
--
-- Writes: orchestrator.decide (a row before it settles: a message that is tried again meets its first choice), the
--         sweep in the workers (the end of each, the statistics, the canary's test).
-- Reads:  orchestrator.decide, /api/orchestrator/*, GET /api/metrics/orchestrator/summary, GET /api/agents.

create table registry_decisions (
  id            bigint primary key,                     -- of the message of orchestrator.decide
  trace_id      uuid not null,
  tenant        text not null references tenants (id),
  intent        text not null,
  service_role  text not null,
  agent_id      text not null,                          -- chosen; it may be gone from the registry since
  agent_version text not null,
  canary        boolean not null,
  explored      boolean not null,                       -- chosen by the draw, not by its score
  propensity    double precision not null check (propensity > 0 and propensity <= 1),
  weights_hash  text not null,
  fallback_of   bigint references registry_decisions (id),     -- the decision whose agent failed for good
  shadow_of     bigint references registry_decisions (id),     -- a copy for a shadow: compared, never returned
  record        jsonb not null,                         -- the whole decision, as the event has it
  at            timestamptz not null default bus_now(),

  ended_at      timestamptz,                            -- when its end was counted
  outcome       text check (outcome in ('good', 'bad', 'void')),  -- void: nothing the agent is to blame for
  code          text,                                   -- of the failure
  latency_ms    double precision,                       -- from decision to end
  tokens        bigint,                                 -- null: nobody said
  cost_usd      double precision,                       -- null: not known

  check ((ended_at is null) = (outcome is null))
);

-- "The decisions of a trace, in order."
create index registry_decisions_trace on registry_decisions (trace_id, id);
-- "The decisions of a window of time": summary, what-if.
create index registry_decisions_at on registry_decisions (at);
-- "What an agent has in hand", and, all of it, what the sweep looks through.
create index registry_decisions_open on registry_decisions (agent_id, agent_version, trace_id) where ended_at is null;

-- What is known of an agent's work for an intent, forgotten bit by bit. The numbers are as of `at`.
create table registry_stats (
  agent_id      text not null,
  agent_version text not null,
  intent        text not null,
  good          double precision not null check (good >= 0),
  bad           double precision not null check (bad >= 0),
  latency_ms    double precision check (latency_ms >= 0),
  at            timestamptz not null,

  primary key (agent_id, agent_version, intent),
  foreign key (agent_id, agent_version) references registry_agents (id, version) on delete cascade
);

alter table registry_decisions enable row level security;
alter table registry_stats enable row level security;
