-- A file says whether a canary made it.

alter table artifacts add column canary boolean not null default false;
