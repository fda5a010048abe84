-- Decisions know the root of their trace, so that the sweep finds how it ended by key.

alter table registry_decisions add column root_id bigint;   -- the message that opened the trace
update registry_decisions d
set root_id = t.root_id
from bus_traces t
where t.trace_id = d.trace_id;
