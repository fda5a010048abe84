-- What waits has a priority and a number of attempts that a policy may have allowed; anything else is refused.
--
-- Writes: store/messages, store/attempts, store/flows, store/claims. Reads: the workers.

alter table bus_ready   add constraint bus_ready_priority   check (priority between 0 and 9),
                        add constraint bus_ready_attempts   check (attempts between 0 and 100);
alter table bus_delayed add constraint bus_delayed_priority check (priority between 0 and 9),
                        add constraint bus_delayed_attempts check (attempts between 0 and 100);
