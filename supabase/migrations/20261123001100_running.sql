-- How many messages of a role or a tenant may be in hand at one time, over all workers; and how fast requests to a role
-- may come in.
--
-- Writes: store/running (workers: with a claim of what is limited), store/limits (gateway). Nothing is written for what
-- has no limit.

-- Which leases count for which limit. What of a lease has ended counts no more, and a lease that is gone is swept with
-- the next claim under its name.
create table bus_running (
  name  text   not null,                             -- 'role executor.execute', 'tenant acme'
  token bigint not null,                             -- of bus_leases
  primary key (name, token)
);

create table role_buckets (
  role   text primary key,                           -- 'chat.ask'
  tokens double precision not null check (tokens >= 0), -- as of `at`
  at     timestamptz not null default bus_now()
);

alter table bus_running  enable row level security;
alter table role_buckets enable row level security;
