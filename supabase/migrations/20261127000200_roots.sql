-- The latest traces of a tenant, without an index entry for each message: one row for the traces that were opened
-- together, as bus_ready has one for messages that came together. A block is 1024 ids and a row lies within one, so rows
-- read by block, latest first, answer the traces in order.
--
-- Writes: store/messages (publish), bus_put. Reads: store/traces, store/summary. Dropped with its partition of the history.

create table bus_roots (
  tenant text not null,
  block  bigint not null,                              -- of its ids: id >> 10
  ids    bigint[] not null,                            -- the messages that opened the traces
  at     timestamptz not null default bus_now(),
  check (ids[1] >> 10 = block and ids[cardinality(ids)] >> 10 = block)
) partition by range (block);
alter table bus_roots enable row level security;

-- "The latest traces of a tenant."
create index bus_roots_latest on bus_roots (tenant, block);

-- Makes a partition of each history table. Attached, not created in place: writers are not stopped meanwhile.
create or replace function bus_open_partition(wanted integer) returns void
  language plpgsql
  set search_path = ''
  as $$
declare
  base text;
  bits integer;
  name text;
begin
  foreach base in array array['bus_messages', 'bus_attempts', 'bus_packs', 'bus_trace_ends', 'bus_facts', 'bus_roots'] loop
    name := base || '_' || wanted;
    bits := case base when 'bus_roots' then 14 else 24 end; -- a partition has 2^24 ids, which are 2^14 blocks
    execute pg_catalog.format('create table public.%I (like public.%I including defaults including constraints including storage)',
                              name, base);
    execute pg_catalog.format('alter table public.%I enable row level security', name);
    execute pg_catalog.format('alter table public.%I attach partition public.%I for values from (%s) to (%s)',
                              base, name, wanted::bigint << bits, (wanted + 1)::bigint << bits);
  end loop;
  insert into public.bus_partitions (number) values (wanted);
end $$;

-- What is there already.
do $$
declare
  number integer;
begin
  for number in select p.number from bus_partitions p loop
    execute format('create table bus_roots_%s partition of bus_roots for values from (%s) to (%s)',
                   number, number::bigint << 14, (number + 1)::bigint << 14);
    execute format('alter table bus_roots_%s enable row level security', number);
  end loop;
end $$;
insert into bus_roots (tenant, block, ids, at)
select tenant, id >> 10, array_agg(id order by id), max(created_at)
from bus_messages
where parent_id is null
group by tenant, id >> 10;

drop index bus_messages_root;

-- Stores the first message of a new trace, due at once. A key that is known is refused by bus_keys (23505), a role, shard
-- or tenant that is not by bus_messages (23502). With `tells`, the wake-up goes out with the commit.
create or replace function bus_put(its_service text, its_role text, its_shard integer, its_tenant text, its_intent text,
                        its_trace uuid, its_key text, its_hash text, key_ttl_ms float8, its_priority integer,
                        its_order text, ttl_ms float8, its_payload json, tells boolean,
                        out id bigint, out lane integer)
  language plpgsql
  set search_path = ''
  as $$
declare
  is_ordered boolean;
  known_tenant text;
  deadline timestamptz := public.bus_now() + ttl_ms * interval '1 millisecond';
begin
  select l.id, r.ordered, (select t.id from public.tenants t where t.id = its_tenant) into lane, is_ordered, known_tenant
  from public.bus_roles r
  join public.bus_lanes l on l.service = r.service and l.role = r.role and l.shard = its_shard and its_shard < r.shards
  where r.service = its_service and r.role = its_role;
  id := nextval('public.bus_ids');
  insert into public.bus_keys (scope, key, message_id, trace_id, request_hash, expires_at)
  values (its_tenant || '/' || its_service || '.' || its_role, its_key, id, its_trace, its_hash,
          public.bus_now() + key_ttl_ms * interval '1 millisecond');
  insert into public.bus_messages (id, lane, service, role, shard, tenant, intent, trace_id, root_id, idempotency_key,
                                   priority, order_key, expires_at, payload)
  values (id, lane, its_service, its_role, its_shard, known_tenant, its_intent, its_trace, id, its_key, its_priority,
          case when is_ordered then its_order end, deadline, its_payload);
  insert into public.bus_roots (tenant, block, ids) values (known_tenant, id >> 10, array[id]);
  if deadline is not null then
    insert into public.bus_deadlines (expires_at, message_id) values (deadline, id);
  end if;
  if is_ordered and not public.bus_line_up(its_service, its_role, its_order, id, lane, its_priority::smallint, its_tenant) then
    insert into public.bus_deltas (lane, accepted) values (lane, 1);
    return;
  end if;
  insert into public.bus_ready (lane, priority, tenant, seq, message_ids, attempts)
  values (lane, its_priority, its_tenant, id, array[id], 0);
  insert into public.bus_deltas (lane, accepted, ready) values (lane, 1, 1);
  if tells then
    perform pg_notify('bus_wake', format('{"roles":["%s.%s"],"traces":[],"flows":[{"lane":%s,"priority":%s,"tenant":"%s"}]}',
                                         its_service, its_role, lane, its_priority, its_tenant)); -- none holds a quote
  end if;
end $$;
