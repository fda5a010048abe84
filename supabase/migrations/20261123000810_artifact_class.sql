-- Artifacts: how strongly the box was closed that a file came out of.
--
-- Reads:  GET /api/artifacts/index.
-- Writes: the settlement that keeps the file.

alter table artifacts add column sandbox_class text check (sandbox_class in ('strict', 'rootless')); -- null: not from a box
