-- Circuits: a lane (service.role.shard) whose calls fail too often is left alone for a while.
--
-- Writes: store/circuits (every worker, one at a time, once a second; operators). Reads: workers, summary, orchestrator.

-- What a lane's calls came to, second by second; folded from bus_deltas, kept for as long as any window looks back.
-- What a caller caused counts for nothing.
alter table bus_deltas add column failed integer not null default 0;
create table bus_calls (
  at     timestamptz not null,
  lane   integer not null,
  ok     bigint not null,
  failed bigint not null,
  primary key (at, lane)
);

-- A lane without a row is closed: work flows.
create table bus_circuits (
  lane    integer primary key,
  state   text not null check (state in ('closed', 'open', 'half_open')),
  since   timestamptz not null default bus_now(),
  because text not null,
  by_hand boolean not null default false,              -- stays open until somebody closes it
  probes  integer not null default 0 check (probes >= 0) -- half open: that may still be begun, by whichever worker
);

alter table bus_calls    enable row level security;
alter table bus_circuits enable row level security;
