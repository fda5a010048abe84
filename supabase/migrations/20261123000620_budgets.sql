-- Budgets: what a tenant has spent and put aside, by day, by month and by trace; and what each call has put aside.
--
-- Writes: store/budgets (workers: before a call, and in the transaction that settles it). Reads: GET /api/budgets.

create table budget_accounts (
  tenant           text not null references tenants (id),
  scope            text not null check (scope in ('day', 'month', 'trace')),
  key              text not null,                    -- '2030-01-31', '2030-01' (UTC), or a trace id
  spent_usd        numeric not null default 0 check (spent_usd >= 0),
  spent_tokens     bigint  not null default 0 check (spent_tokens >= 0),
  spent_seconds    numeric not null default 0 check (spent_seconds >= 0),
  reserved_usd     numeric not null default 0 check (reserved_usd >= 0),
  reserved_tokens  bigint  not null default 0 check (reserved_tokens >= 0),
  reserved_seconds numeric not null default 0 check (reserved_seconds >= 0),
  at               timestamptz not null default bus_now(), -- when it last changed
  primary key (tenant, scope, key)
);

-- "Which accounts are too old to be kept?"
create index budget_accounts_at on budget_accounts (at);

-- One for each call under way. It is gone when the attempt that made it is settled, however that ends.
create table budget_reservations (
  message_id bigint primary key,
  tenant     text not null,
  day        text not null,                          -- keys of its three accounts, as they were when it was made
  month      text not null,
  trace      text not null,
  usd        numeric not null check (usd >= 0),
  tokens     bigint  not null check (tokens >= 0),
  seconds    numeric not null check (seconds >= 0)
);

alter table budget_accounts     enable row level security;
alter table budget_reservations enable row level security;
