-- Sandbox keys: what a sandbox worker shows to the hub it dials into. They open nothing else: the guard of the gateway
-- does not know them, and a key of this kind does not close the door of a system that has no other.
--
-- Reads:  the hub of each worker, when a sandbox worker dials in and while it stays.
-- Writes: POST /api/keys, DELETE /api/keys/:id.

alter table access_keys drop constraint access_keys_kind_check;
alter table access_keys add constraint access_keys_kind_check check (kind in ('tenant', 'operator', 'admin', 'sandbox'));
