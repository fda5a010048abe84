-- bus_put with one look at the tables where there were two, and a wake-up that is written, not built.

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
