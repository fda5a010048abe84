-- Approvals: what a person is asked is a row of bus_waits of the kind 'approval'; files of a change that must be approved
-- before it is handed out are held back until then.
--
-- Writes: bus/settle (asked), bus/waits (answered), bus/upkeep (expired), orchestrator.answered (lets files go).
-- Reads:  GET /api/approvals, the trace view, GET /artifacts/*.

-- "The approvals of everybody, the latest first"; "those of a tenant".
create index bus_waits_kind on bus_waits (kind, id);
create index bus_waits_tenant on bus_waits (tenant, kind, id);
-- "What does this trace wait for", and "how long did it wait".
create index bus_waits_trace on bus_waits (trace_id);

-- True: only operators and admins may read it yet.
alter table artifacts add column held boolean not null default false;
