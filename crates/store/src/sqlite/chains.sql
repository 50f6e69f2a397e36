-- Streams as chains, from version 3 on: an event names the event before it in its stream, and a stream its last event. An
-- index of all events by stream, as there was before, has a page of its own to write for almost every event, which cost more
-- than all else of an append; a chain costs a few bytes. The events of a stream are found from its end, and in a long stream
-- from the nearest 256th version behind those asked for: only these are in an index.

-- Without it, the view would follow the tables to their new names.
PRAGMA legacy_alter_table = ON;
ALTER TABLE events RENAME TO earlier_events;
ALTER TABLE streams RENAME TO earlier_streams;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE streams (
    stream TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    occurred_at INTEGER NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY CHECK (position >= 1),
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    previous INTEGER CHECK (previous BETWEEN 1 AND position - 1),
    type TEXT NOT NULL,
    schema INTEGER NOT NULL CHECK (schema BETWEEN 1 AND 65535),
    occurred_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    command_id BLOB NOT NULL CHECK (length(command_id) = 16),
    correlation_id BLOB NOT NULL CHECK (length(correlation_id) = 16),
    causation_id BLOB CHECK (length(causation_id) = 16),
    data TEXT NOT NULL
) STRICT;

INSERT INTO streams
SELECT streams.stream, streams.version, streams.occurred_at, events.position
FROM earlier_streams AS streams JOIN earlier_events AS events USING (stream, version);

INSERT INTO events
SELECT position, event_id, stream, version,
    (SELECT before.position FROM earlier_events AS before
     WHERE before.stream = earlier_events.stream AND before.version = earlier_events.version - 1),
    type, schema, occurred_at, recorded_at, actor, command_id, correlation_id, causation_id, data
FROM earlier_events ORDER BY position;

-- Their triggers go with them.
DROP TABLE earlier_events;
DROP TABLE earlier_streams;

CREATE UNIQUE INDEX events_every_256_versions ON events (stream, version) WHERE version % 256 = 0;

-- An event is the next of the log and of its stream, or there is none: so there are no two of one version either.

CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.position <= (SELECT position FROM head)
    OR (NEW.version, NEW.previous) IS NOT
        (SELECT coalesce(version, 0) + 1, position FROM (SELECT 1) LEFT JOIN streams ON stream = NEW.stream)
BEGIN SELECT RAISE(ABORT, 'an event follows the last of its stream and never replaces one'); END;

CREATE TRIGGER events_end_their_streams AFTER INSERT ON events
BEGIN
    INSERT INTO streams (stream, version, occurred_at, position)
    VALUES (NEW.stream, NEW.version, NEW.occurred_at, NEW.position)
    ON CONFLICT (stream) DO UPDATE
    SET version = excluded.version, occurred_at = excluded.occurred_at, position = excluded.position;
END;

CREATE TRIGGER events_are_not_altered BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never altered'); END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;

CREATE TRIGGER streams_only_grow BEFORE UPDATE ON streams
WHEN NEW.stream <> OLD.stream OR NEW.version <= OLD.version OR NEW.occurred_at < OLD.occurred_at
    OR NEW.position <= OLD.position
BEGIN SELECT RAISE(ABORT, 'a stream only grows'); END;

CREATE TRIGGER streams_are_not_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'a stream is never deleted'); END;
