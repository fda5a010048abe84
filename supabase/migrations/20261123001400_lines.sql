-- Lines of ordered roles: a message that is due later keeps its time while it stands behind others.
--
-- Writes: store/messages (publish), store/attempts (the next in line). Reads: the same.

alter table bus_lines add column due_at timestamptz;   -- not before then; null: at once

-- bus_line_up for a message that may be due later.
create function bus_line_up(service text, role text, order_key text, message_id bigint, lane integer,
                            priority smallint, tenant text, due_at timestamptz) returns boolean
  language plpgsql
  set search_path = ''
  as $$
begin
  perform pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('bus_line ' || service || '.' || role || ' ' || order_key, 0));
  insert into public.bus_lines (service, role, order_key, message_id, lane, priority, tenant, due_at)
  values (service, role, order_key, message_id, lane, priority, tenant, due_at);
  return not exists (select from public.bus_lines l
                     where l.service = bus_line_up.service and l.role = bus_line_up.role
                       and l.order_key = bus_line_up.order_key and l.message_id <> bus_line_up.message_id);
end $$;
