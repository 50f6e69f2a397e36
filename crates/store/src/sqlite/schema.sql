-- The log. Written once, in one transaction; a later version of it is a step beside this file, never a change in it.
-- Times are microseconds since 1970, UTC. Ids are the 16 bytes of a UUID. STRICT: a column holds what it says.

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_id BLOB NOT NULL CHECK (length(log_id) = 16),
    position INTEGER NOT NULL CHECK (position >= 0),
    recorded_at INTEGER NOT NULL
) STRICT;

CREATE TABLE streams (
    stream TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    occurred_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    command_id BLOB NOT NULL PRIMARY KEY CHECK (length(command_id) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    position INTEGER NOT NULL CHECK (position >= 1),
    events INTEGER NOT NULL CHECK (events >= 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY CHECK (position >= 1),
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    type TEXT NOT NULL,
    schema INTEGER NOT NULL CHECK (schema BETWEEN 1 AND 65535),
    occurred_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    command_id BLOB NOT NULL CHECK (length(command_id) = 16),
    correlation_id BLOB NOT NULL CHECK (length(correlation_id) = 16),
    causation_id BLOB CHECK (length(causation_id) = 16),
    data TEXT NOT NULL,
    UNIQUE (stream, version)
) STRICT;

-- Nobody rewrites history. The triggers on INSERT are there because INSERT OR REPLACE deletes without asking the triggers
-- on DELETE.

CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.position <= (SELECT position FROM head)
    OR NEW.version <= (SELECT version FROM streams WHERE stream = NEW.stream)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END;

CREATE TRIGGER events_are_not_altered BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never altered'); END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;

CREATE TRIGGER commands_are_not_replaced BEFORE INSERT ON commands
WHEN EXISTS (SELECT 1 FROM commands WHERE command_id = NEW.command_id)
BEGIN SELECT RAISE(ABORT, 'a command is never replaced'); END;

CREATE TRIGGER commands_are_not_altered BEFORE UPDATE ON commands
BEGIN SELECT RAISE(ABORT, 'a command is never altered'); END;

CREATE TRIGGER commands_are_not_deleted BEFORE DELETE ON commands
BEGIN SELECT RAISE(ABORT, 'a command is never deleted'); END;

CREATE TRIGGER streams_only_grow BEFORE UPDATE ON streams
WHEN NEW.stream <> OLD.stream OR NEW.version <= OLD.version OR NEW.occurred_at < OLD.occurred_at
BEGIN SELECT RAISE(ABORT, 'a stream only grows'); END;

CREATE TRIGGER streams_are_not_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'a stream is never deleted'); END;

CREATE TRIGGER head_is_not_replaced BEFORE INSERT ON head
WHEN EXISTS (SELECT 1 FROM head)
BEGIN SELECT RAISE(ABORT, 'the head is never replaced'); END;

CREATE TRIGGER head_only_grows BEFORE UPDATE ON head
WHEN NEW.log_id <> OLD.log_id OR NEW.position <= OLD.position OR NEW.recorded_at < OLD.recorded_at
BEGIN SELECT RAISE(ABORT, 'the head only grows'); END;

CREATE TRIGGER head_is_not_deleted BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'the head is never deleted'); END;

-- For people with a shell: ids and times as they are written elsewhere. Division rounds towards zero, so the seconds of a
-- time before 1970 are taken after the part below a second has been brought to 0..999999.
CREATE VIEW events_readable AS
WITH texts AS (
    SELECT *,
        lower(hex(event_id)) AS event, lower(hex(command_id)) AS command,
        lower(hex(correlation_id)) AS correlation, lower(hex(causation_id)) AS causation,
        (occurred_at % 1000000 + 1000000) % 1000000 AS occurred_part,
        (recorded_at % 1000000 + 1000000) % 1000000 AS recorded_part
    FROM events
)
SELECT position,
    substr(event, 1, 8) || '-' || substr(event, 9, 4) || '-' || substr(event, 13, 4) || '-' || substr(event, 17, 4)
        || '-' || substr(event, 21) AS event_id,
    stream, version, type, schema,
    strftime('%Y-%m-%dT%H:%M:%S', (occurred_at - occurred_part) / 1000000, 'unixepoch')
        || printf('.%06dZ', occurred_part) AS occurred_at,
    strftime('%Y-%m-%dT%H:%M:%S', (recorded_at - recorded_part) / 1000000, 'unixepoch')
        || printf('.%06dZ', recorded_part) AS recorded_at,
    actor,
    substr(command, 1, 8) || '-' || substr(command, 9, 4) || '-' || substr(command, 13, 4) || '-'
        || substr(command, 17, 4) || '-' || substr(command, 21) AS command_id,
    substr(correlation, 1, 8) || '-' || substr(correlation, 9, 4) || '-' || substr(correlation, 13, 4) || '-'
        || substr(correlation, 17, 4) || '-' || substr(correlation, 21) AS correlation_id,
    CASE WHEN causation_id IS NOT NULL THEN
        substr(causation, 1, 8) || '-' || substr(causation, 9, 4) || '-' || substr(causation, 13, 4) || '-'
            || substr(causation, 17, 4) || '-' || substr(causation, 21)
    END AS causation_id,
    data
FROM texts;
