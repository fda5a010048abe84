-- Callbacks: an agent that has taken work answers later, to the id of the message that asked it.

-- "What waits for the answer to this message?"
create index bus_waits_message on bus_waits (message_id);
