-- Canaries under test: what the test remembers is its own to say.

alter table registry_canaries
  drop column canary_good,
  drop column canary_bad,
  drop column stable_good,
  drop column stable_bad;
