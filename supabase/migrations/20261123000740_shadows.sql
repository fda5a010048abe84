-- Shadows: what waits to be compared.

-- "The copies that were not compared yet."
create index registry_decisions_uncompared on registry_decisions (id) where shadow_of is not null and compared is null;
