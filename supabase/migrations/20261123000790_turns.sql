-- What is known of an agent fades with the calls of its intent too, not with time alone: also of an agent that is not
-- chosen, so that one that has recovered is met anew.

-- How many ends of the intent, of any agent, had been counted when this record was last written.
alter table registry_stats add column turn double precision not null default 0 check (turn >= 0);
