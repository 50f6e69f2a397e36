-- Fills a log of version 1, made by schema.sql alone, with what is in the present one, which is attached as `present`.

INSERT INTO events
SELECT position, event_id, stream, version, type, schema, occurred_at, recorded_at, actor, command_id, correlation_id,
    causation_id, data
FROM present.events ORDER BY position;
INSERT INTO streams SELECT stream, version, occurred_at FROM present.streams;
INSERT INTO commands SELECT * FROM present.commands;
INSERT INTO head SELECT * FROM present.head;
PRAGMA application_id = 0x4465616C;
PRAGMA user_version = 1;
