-- Access: who may come in, and what is kept of what they asked for.
--
-- Reads:  gateway/guard on every request, GET /api/artifacts/index.
-- Writes: POST /api/keys, DELETE /api/keys/:id; the settlement that keeps an artifact.

-- Keys are random and long, so one SHA-256 is enough; the key itself is shown once and never stored.
create table access_keys (
  id         bigint generated always as identity primary key,
  name       text not null check (length(name) between 1 and 100),
  kind       text not null check (kind in ('tenant', 'operator', 'admin')),
  tenant     text not null references tenants (id),
  sha256     bytea not null unique check (length(sha256) = 32),
  created_at timestamptz not null default bus_now(),
  revoked_at timestamptz
);

-- "Is any key configured?" and the look-up by tenant.
create index access_keys_tenant on access_keys (tenant) where revoked_at is null;

-- One row per kept file. The bytes are below ARTIFACTS_BASE at `path`.
create table artifacts (
  path          text primary key,                      -- '<trace_id>/codegen/edits.json'
  trace_id      uuid not null references bus_traces (trace_id),
  tenant        text not null references tenants (id),
  kind          text not null,
  schema        text not null,
  intent        text not null,
  message_id    bigint not null references bus_messages (id),
  idempotency_key text not null,
  agent_id      text,
  agent_version text,
  attempts      smallint not null,
  sha256        text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes         bigint not null check (bytes >= 0),
  content_type  text not null,
  created_at    timestamptz not null
);

-- "The files of this trace" and "the latest files of this tenant".
create index artifacts_trace on artifacts (trace_id, path);
create index artifacts_latest on artifacts (tenant, created_at desc);

alter table access_keys enable row level security;
alter table artifacts enable row level security;
