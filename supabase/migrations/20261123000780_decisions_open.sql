-- Decisions whose work has not ended.

-- "The oldest open decisions", whatever the length of the history: where the sweep looks first.
create index registry_decisions_waiting on registry_decisions (id) where ended_at is null;
