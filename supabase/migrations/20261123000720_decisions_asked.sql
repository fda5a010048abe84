-- Decisions, asked for in more ways.

-- "The latest decisions of a tenant."
create index registry_decisions_latest on registry_decisions (tenant, id desc);
-- "Was another agent asked instead, after this one failed?"
create index registry_decisions_fallback on registry_decisions (fallback_of) where fallback_of is not null;
-- "Is there a copy for a shadow?"
create index registry_decisions_shadow on registry_decisions (shadow_of) where shadow_of is not null;
