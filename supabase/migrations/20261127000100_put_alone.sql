-- One who publishes alone is heard sooner: a worker begins while the disk still writes.
--
-- What did not wait for the disk may never have been, when the server dies: then ids are given a second time, and a worker
-- that still has the first message with such an id must not settle the second. So no token is given twice.

-- A token is an id with 20 bits of chance below it. Those of before are ids alone.
alter table bus_leases alter token set default (nextval('bus_ids') << 20) | floor(random() * 1048576)::bigint;

-- The id that a token was made with: its place among the events.
create function bus_token_id(token bigint) returns bigint
  language sql immutable parallel safe
  as $$ select case when token < 17592186044416 then token else token >> 20 end $$;

create or replace view bus_events with (security_invoker = true) as
  select m.id, m.created_at as at, bus_event_kind(m.service, 'accepted') as kind, m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id as message_id, m.idempotency_key, 0::smallint as attempts, null::text as worker,
         m.assignment ->> 'agent_id' as agent_id, m.assignment ->> 'agent_version' as agent_version,
         coalesce((m.assignment ->> 'canary')::boolean, false) as canary, '{}'::jsonb as details
  from bus_messages m
  where m.id >= 16777216
  union all
  select bus_token_id(l.token), l.claimed_at, bus_event_kind(m.service, 'acked'), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, l.attempts[array_position(l.message_ids, m.id)], l.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false), '{}'::jsonb
  from bus_messages m
  join bus_leases l on m.id = any (l.message_ids)
  where not exists (select from bus_attempts a
                    where a.message_id = m.id and a.attempts = l.attempts[array_position(l.message_ids, m.id)])
  union all
  select case step.what when 'acked' then bus_token_id(a.token) when 'failed' then coalesce(a.failed_id, a.event_id) else a.event_id end,
         case step.what when 'acked' then a.claimed_at else a.ended_at end,
         bus_event_kind(m.service, step.what), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, (a.attempts - (a.claimed_at is null)::int)::smallint, a.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false),
         case step.what
           when 'retry' then jsonb_build_object('failure', a.failure, 'delay_ms', a.delay_ms, 'why', a.why)
           when 'failed' then jsonb_build_object('failure', a.failure)
           when 'dead' then jsonb_build_object('why', a.why)
           when 'expired' then jsonb_build_object('failure', a.failure)
           when 'cancelled' then jsonb_build_object('failure', a.failure)
           else '{}'::jsonb
         end
  from bus_messages m
  join bus_attempts a on a.message_id = m.id
  cross join lateral (
    select unnest(case
      when a.claimed_at is null then array[a.status]
      when a.status = 'dead' then array['acked', 'failed', 'dead']
      else array['acked', a.status]
    end) as what
  ) step
  where a.event_id >= 16777216
  union all
  select case step.what when 'acked' then bus_token_id(p.token) else p.event_id end,
         case step.what when 'acked' then p.claimed_at else p.ended_at end,
         bus_event_kind(m.service, step.what), m.service, m.role, m.shard, m.tenant,
         m.intent, m.trace_id, m.id, m.idempotency_key, p.attempts[n], p.worker,
         m.assignment ->> 'agent_id', m.assignment ->> 'agent_version',
         coalesce((m.assignment ->> 'canary')::boolean, false), '{}'::jsonb
  from bus_messages m
  join bus_packs p on p.base <= m.id and p.base > m.id - 32768 and p.top >= m.id
  cross join lateral array_position(p.places, (m.id - p.base)::smallint) as n
  cross join lateral (values ('acked'), ('done')) as step (what)
  where n is not null
  union all
  select f.id, f.at, f.kind, f.service, f.role, f.shard, f.tenant, f.intent, f.trace_id, f.message_id, f.idempotency_key,
         f.attempts, f.worker, f.agent_id, f.agent_version, f.canary, f.details
  from bus_facts f;

-- bus_put for one who publishes alone. The message is seen, and the wake-up goes out, before the disk has it; the caller
-- is answered when it has. When the server dies in between, the message was never there and the caller was told nothing;
-- what a worker made of it cannot have been settled, for that waits for all that was written before.
-- No search path of its own: a procedure that has one may not commit. It names everything with its schema instead.
create procedure bus_put_alone(its_service text, its_role text, its_shard integer, its_tenant text, its_intent text,
                               its_trace uuid, its_key text, its_hash text, key_ttl_ms float8, its_priority integer,
                               its_order text, ttl_ms float8, its_payload json, out lane integer)
  language plpgsql
  as $$
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  select put.lane into lane
  from public.bus_put(its_service, its_role, its_shard, its_tenant, its_intent, its_trace, its_key, its_hash, key_ttl_ms,
                      its_priority, its_order, ttl_ms, its_payload, true) put;
  commit;
  perform pg_catalog.pg_logical_emit_message(true, 'bus', ''); -- nothing but a commit to wait for
end $$;
