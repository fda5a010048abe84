-- Decisions are forgotten with the history they belong to, the oldest first: what follows from one may outlive it.

alter table registry_decisions
  drop constraint registry_decisions_fallback_of_fkey,
  drop constraint registry_decisions_shadow_of_fkey;
