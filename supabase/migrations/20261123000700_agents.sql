-- Registry: an agent as anybody may register it: how it is reached, what it can do, whose canary it is.
--
-- Writes: /api/agents, app at start, heartbeats, the test that pauses a canary.
-- Reads:  orchestrator.decide, executor.execute, GET /api/agents.

-- How it is reached, as it is asked for now: the kind, and what that kind needs. Never a secret, only the name of one.
alter table registry_agents add column settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object');
update registry_agents
set settings = case reach
  when 'builtin' then jsonb_build_object('role', target)
  else jsonb_build_object('model', target, 'base_url', null, 'api_key', null)
end;
alter table registry_agents drop column target;
alter table registry_agents drop constraint registry_agents_reach_check;
alter table registry_agents add constraint registry_agents_reach_check
  check (reach in ('builtin', 'openai', 'http', 'a2a', 'mcp'));

alter table registry_agents rename column price_usd to price_per_1k_usd;
alter table registry_agents
  add column price_per_call_usd numeric not null default 0 check (price_per_call_usd >= 0),
  add column capabilities       text[] not null default '{}',   -- what work may ask for by name
  add column languages          text[] not null default '{}',   -- empty: any
  add column mode               text not null default 'live' check (mode in ('live', 'shadow')),
  add column origin             text not null default 'config' check (origin in ('config', 'api')),
  add column canary_of_id       text,                           -- its stable; null: it is a stable itself
  add column canary_of_version  text,
  add column paused_at          timestamptz,                    -- a canary at rest until somebody resumes it
  add column paused_by          text,
  add column evidence           jsonb,
  add column probed_at          timestamptz,                    -- when a worker last asked whether it lives
  alter column canary_pct type numeric;

-- What came before had canaries of nobody in particular; they rest until somebody says whose they are.
update registry_agents set canary_pct = 0, enabled = false where canary_pct > 0;

alter table registry_agents
  add constraint registry_agents_canary_check check (
    (canary_of_id is null) = (canary_of_version is null)
    and (canary_of_id is not null or canary_pct = 0)
    and (canary_of_id, canary_of_version) is distinct from (id, version)),
  add constraint registry_agents_paused_check check (
    (paused_at is null) = (evidence is null) and (paused_at is null) = (paused_by is null)),
  add foreign key (canary_of_id, canary_of_version) references registry_agents (id, version);

-- "The canaries of a stable."
create index registry_agents_canary on registry_agents (canary_of_id, canary_of_version)
  where canary_of_id is not null;
