-- Agents that answer later may say how far they are: when that was told last is kept with the wait, so that all gateways
-- together tell it at most once a second.
alter table bus_waits add column told_at timestamptz;
