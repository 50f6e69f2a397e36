-- Where the events of a type are: who asks for a rare one from the beginning is not led through all others.
CREATE INDEX events_by_type ON log.events (type, position);
