-- One message at a time: what a request that comes alone, and a worker that has nothing else to do, ask of the bus. The
-- same as the statements for lists in store/messages.ts and store/claims.ts do; a function costs less to begin.

-- Messages as a claim hands them over, in the order of their ids: columns with \x02 between them, values with \x01. No
-- value holds either. What is rarely there is one JSON object. `ids` are ascending.
create function bus_wire(ids bigint[]) returns text
  language plpgsql
  set search_path = ''
  as $$
declare
  wire text;
begin
  select concat_ws(E'\x02',
           string_agg(m.id::text, E'\x01'), string_agg(m.lane::text, E'\x01'), string_agg(m.tenant, E'\x01'),
           string_agg(m.intent, E'\x01'), string_agg(m.trace_id::text, E'\x01'), string_agg(m.idempotency_key, E'\x01'),
           string_agg((date_part('epoch', m.created_at) * 1000)::bigint::text, E'\x01'),
           string_agg(case
             when m.parent_id is null and m.join_id is null and m.order_key is null and m.expires_at is null
              and m.traceparent is null and m.assignment is null and m.priority = 5 then ''
             else json_build_object(
               'root', m.root_id::text, 'parent', m.parent_id::text, 'join', m.join_id::text, 'priority', m.priority,
               'order', m.order_key, 'expires', m.expires_at,
               'left', extract(epoch from m.expires_at - public.bus_now()) * 1000,
               'traceparent', m.traceparent, 'assignment', m.assignment)::text
           end, E'\x01'), string_agg(m.payload::text, E'\x01'))
  into wire
  from public.bus_messages m
  where m.id = any (ids) and m.id >= ids[1] and m.id <= ids[cardinality(ids)];
  return wire;
end $$;

-- Stores the first message of a new trace, due at once. A key that is known is refused by bus_keys (23505), a role, shard
-- or tenant that is not by bus_messages (23502). With `tells`, the wake-up goes out with the commit.
create function bus_put(its_service text, its_role text, its_shard integer, its_tenant text, its_intent text,
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
  select l.id, r.ordered into lane, is_ordered
  from public.bus_roles r
  join public.bus_lanes l on l.service = r.service and l.role = r.role and l.shard = its_shard and its_shard < r.shards
  where r.service = its_service and r.role = its_role;
  select t.id into known_tenant from public.tenants t where t.id = its_tenant;
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
    perform pg_notify('bus_wake', json_build_object(
      'roles', json_build_array(its_service || '.' || its_role), 'traces', '[]'::json,
      'flows', json_build_array(json_build_object('lane', lane, 'priority', its_priority, 'tenant', its_tenant)))::text);
  end if;
end $$;

-- Claims the first row of a flow, or as much of it as there is room for. `more`: it is not the last one.
create function bus_take(by_worker text, of_lane integer, of_priority integer, of_tenant text, low bigint, most integer,
                         lease_ms float8, out token bigint, out attempts integer, out seq bigint, out more boolean,
                         out ids bigint[], out wire text)
  language plpgsql
  set search_path = ''
  as $$
begin
  delete from public.bus_ready b
  where b.ctid = (select r.ctid from public.bus_ready r
                  where r.lane = of_lane and r.priority = of_priority and r.tenant = of_tenant and r.seq >= low
                  order by r.seq limit 1 for update skip locked)
  returning b.seq, b.attempts, b.message_ids into seq, attempts, ids;
  if ids is null then
    return;
  end if;
  if cardinality(ids) > most then
    insert into public.bus_ready (lane, priority, tenant, seq, message_ids, attempts)
    values (of_lane, of_priority, of_tenant, seq, ids[most + 1:], attempts);
    ids := ids[:most];
  end if;
  insert into public.bus_leases (worker, message_ids, attempts, lanes, until)
  values (by_worker, ids, array_fill((attempts + 1)::smallint, array[cardinality(ids)]),
          array_fill(of_lane, array[cardinality(ids)]), public.bus_now() + lease_ms * interval '1 millisecond')
  returning bus_leases.token into token;
  insert into public.bus_deltas (lane, ready, held) values (of_lane, -cardinality(ids), cardinality(ids));
  more := exists (select from public.bus_ready r
                  where r.lane = of_lane and r.priority = of_priority and r.tenant = of_tenant and r.seq >= low);
  wire := public.bus_wire(ids);
end $$;
