-- Dead letters are kept for a time of their own (keep_dead_days of configs/bus.json), so that they do not grow for ever.
--
-- Writes: store/history (forgets). Reads: operators.

-- "Which have been dead for too long, and which were replayed long ago?"
create index bus_dead_died on bus_dead (died_at);
create index bus_dead_replayed on bus_dead (replayed_at) where replayed_at is not null;
-- "Which waits were answered long ago?"
create index bus_waits_answered on bus_waits (answered_at) where answered_at is not null;
