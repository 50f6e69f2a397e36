-- Where the events of a type are, from version 6 on: who asks for a rare one from the beginning is not led through all others. An
-- entry ends with the position, and those of one type are in its order.
CREATE INDEX events_by_type ON events (type);
