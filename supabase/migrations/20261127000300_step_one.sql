-- One settlement with at most one follow-up, which is what most steps of a request are. It does what the statement for
-- lists in store/step.ts does; a function costs less to begin.

-- Ends an attempt well. `freed_ids`: it is the last in its lease, which goes with it, if these are still its messages. The
-- follow-up waits in the queue, or, with `hands`, is leased to the same worker at once: then `token` is its lease. A
-- trace that was called off goes nowhere. Not `settled`: the lease is gone, and nothing was written.
create function bus_step_one(by_worker text, its_token bigint, its_id bigint, its_attempts integer, its_lane integer,
                             its_result json, its_answer json, freed_ids bigint[], facts jsonb,
                             next_service text, next_role text, next_shard integer, next_tenant text, next_intent text,
                             next_trace uuid, next_root bigint, next_key text, next_priority integer, next_order text,
                             next_expires timestamptz, next_ttl_ms float8, next_assignment jsonb, next_payload json,
                             hands boolean, lease_ms float8,
                             out settled boolean, out id bigint, out token bigint, out next_lane integer,
                             out created_at timestamptz)
  language plpgsql
  set search_path = ''
  as $$
declare
  since timestamptz;
  is_ordered boolean;
  known_tenant text;
  deadline timestamptz := coalesce(public.bus_now() + next_ttl_ms * interval '1 millisecond', next_expires);
begin
  if freed_ids is not null then
    delete from public.bus_leases l
    where l.token = its_token and l.worker = by_worker and l.message_ids = freed_ids and its_id = any (freed_ids)
    returning l.claimed_at into since;
  end if;
  if since is null then
    select l.claimed_at into since from public.bus_leases l
    where l.token = its_token and l.worker = by_worker and its_id = any (l.message_ids)
    for key share;
  end if;
  settled := since is not null;
  if not settled then
    return;
  end if;
  insert into public.bus_attempts (message_id, attempts, lane, status, token, worker, claimed_at, result, answer)
  values (its_id, its_attempts, its_lane, 'done', its_token, by_worker, since, its_result, its_answer);
  if facts is not null then
    insert into public.bus_facts (kind, service, role, shard, tenant, intent, trace_id, message_id, idempotency_key,
                                  attempts, worker, agent_id, agent_version, canary, details)
    select f.kind, f.service, f.role, f.shard, f.tenant, f.intent, f.trace_id, f.message_id, f.idempotency_key,
           f.attempts, by_worker, f.agent_id, f.agent_version, f.canary, f.details
    from jsonb_to_recordset(facts) as f(
      kind text, service text, role text, shard smallint, tenant text, intent text, trace_id uuid, message_id bigint,
      idempotency_key text, attempts smallint, agent_id text, agent_version text, canary boolean, details jsonb);
  end if;
  if next_service is null or exists (select from public.bus_cancels c where c.root_id = next_root) then
    insert into public.bus_deltas (lane, held, done) values (its_lane, -1, 1);
    return;
  end if;

  select l.id, r.ordered, (select t.id from public.tenants t where t.id = next_tenant)
  into next_lane, is_ordered, known_tenant
  from public.bus_roles r
  join public.bus_lanes l on l.service = r.service and l.role = r.role and l.shard = next_shard and next_shard < r.shards
  where r.service = next_service and r.role = next_role;
  id := nextval('public.bus_ids');
  insert into public.bus_messages as m (id, lane, service, role, shard, tenant, intent, trace_id, root_id, parent_id,
                                        idempotency_key, priority, order_key, expires_at, assignment, payload)
  values (id, next_lane, next_service, next_role, next_shard, known_tenant, next_intent, next_trace, next_root, its_id,
          next_key, next_priority, case when is_ordered then next_order end, deadline, next_assignment, next_payload)
  returning m.created_at into created_at;
  if deadline is not null then
    insert into public.bus_deadlines (expires_at, message_id) values (deadline, id);
  end if;
  if is_ordered and not public.bus_line_up(next_service, next_role, next_order, id, next_lane, next_priority::smallint, next_tenant) then
    insert into public.bus_deltas (lane, held, done, accepted) values (its_lane, -1, 1, 0), (next_lane, 0, 0, 1);
  elsif hands and not is_ordered and deadline is null then
    insert into public.bus_leases as l (worker, message_ids, attempts, lanes, until)
    values (by_worker, array[id], array[1::smallint], array[next_lane],
            public.bus_now() + lease_ms * interval '1 millisecond')
    returning l.token into token;
    insert into public.bus_deltas (lane, held, done, accepted) values (its_lane, -1, 1, 0), (next_lane, 1, 0, 1);
  else
    insert into public.bus_ready (lane, priority, tenant, seq, message_ids, attempts)
    values (next_lane, next_priority, next_tenant, id, array[id], 0);
    insert into public.bus_deltas (lane, held, done, accepted, ready) values (its_lane, -1, 1, 0, 0), (next_lane, 0, 0, 1, 1);
  end if;
end $$;
