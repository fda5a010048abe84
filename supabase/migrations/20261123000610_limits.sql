-- How fast a tenant may come through the door: a bucket of tokens, filled by time, one taken with each new request.
--
-- Writes and reads: store/limits (gateway). A tenant without a rate has no row.
create table rate_buckets (
  tenant text primary key references tenants (id),
  tokens double precision not null check (tokens >= 0), -- as of `at`
  at     timestamptz not null default bus_now()
);

alter table rate_buckets enable row level security;
