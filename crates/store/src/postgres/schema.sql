-- The log. Written once, in one transaction; a later version of it is a step beside this file, never a change in it.
-- Times are microseconds since 1970, UTC. Texts compare by their bytes. Data is the text that was written, never jsonb, which
-- would not keep it.

CREATE SCHEMA IF NOT EXISTS log;

CREATE TABLE log.migrations (
    version INTEGER PRIMARY KEY CHECK (version >= 1),
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Which log this is, and the row whose lock orders all appends. Where the log ends is told by its last event: a row that each
-- batch updates has as many dead versions as there were batches since a backup took its snapshot, and whoever reads it goes
-- through all of them.
CREATE TABLE log.head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_id UUID NOT NULL
);

CREATE TABLE log.streams (
    stream TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL CHECK (version >= 1),
    occurred_at BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE log.commands (
    command_id UUID PRIMARY KEY,
    fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
    stream TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    position BIGINT NOT NULL CHECK (position >= 1),
    events INTEGER NOT NULL CHECK (events >= 1)
);

-- What has a fixed width stands first, which wastes no bytes between the columns.
CREATE TABLE log.events (
    position BIGINT PRIMARY KEY CHECK (position >= 1),
    version BIGINT NOT NULL CHECK (version >= 1),
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    schema INTEGER NOT NULL CHECK (schema BETWEEN 1 AND 65535),
    event_id UUID NOT NULL,
    command_id UUID NOT NULL,
    correlation_id UUID NOT NULL,
    causation_id UUID,
    stream TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    data TEXT COLLATE "C" NOT NULL,
    UNIQUE (stream, version)
);

-- Who may call. Not events: a token is about access, not about deals. Only the hash of a secret is here. A token is never
-- deleted, so that what was once possible can be told.
CREATE TABLE log.tokens (
    token_id UUID PRIMARY KEY,
    secret_hash BYTEA NOT NULL CHECK (octet_length(secret_hash) = 32),
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

-- Nobody rewrites history: not the owner of the tables either, nor who replicates.

CREATE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_are_not_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
EXECUTE FUNCTION log.refuse('an event is never altered or deleted');
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_are_not_rewritten;

CREATE TRIGGER commands_are_not_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON log.commands
EXECUTE FUNCTION log.refuse('a command is never altered or deleted');
ALTER TABLE log.commands ENABLE ALWAYS TRIGGER commands_are_not_rewritten;

CREATE TRIGGER streams_are_not_deleted BEFORE DELETE OR TRUNCATE ON log.streams
EXECUTE FUNCTION log.refuse('a stream is never deleted');
ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_are_not_deleted;

CREATE TRIGGER streams_only_grow BEFORE UPDATE ON log.streams FOR EACH ROW
WHEN (NEW.stream <> OLD.stream OR NEW.version <= OLD.version OR NEW.occurred_at < OLD.occurred_at)
EXECUTE FUNCTION log.refuse('a stream only grows');
ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_only_grow;

CREATE TRIGGER head_is_not_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON log.head
EXECUTE FUNCTION log.refuse('the head is never altered or deleted');
ALTER TABLE log.head ENABLE ALWAYS TRIGGER head_is_not_rewritten;

CREATE TRIGGER tokens_are_not_deleted BEFORE DELETE OR TRUNCATE ON log.tokens
EXECUTE FUNCTION log.refuse('a token is never deleted');
ALTER TABLE log.tokens ENABLE ALWAYS TRIGGER tokens_are_not_deleted;

CREATE TRIGGER tokens_are_only_revoked BEFORE UPDATE ON log.tokens FOR EACH ROW
WHEN (OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
    OR (NEW.token_id, NEW.secret_hash, NEW.actor, NEW.name, NEW.permissions, NEW.created_at)
        <> (OLD.token_id, OLD.secret_hash, OLD.actor, OLD.name, OLD.permissions, OLD.created_at)
    OR NEW.expires_at IS DISTINCT FROM OLD.expires_at)
EXECUTE FUNCTION log.refuse('a token is only revoked');
ALTER TABLE log.tokens ENABLE ALWAYS TRIGGER tokens_are_only_revoked;

-- For people with a shell.
CREATE VIEW log.events_readable AS
SELECT position, event_id, stream, version, type, schema,
    timestamptz 'epoch' + occurred_at * interval '1 microsecond' AS occurred_at,
    timestamptz 'epoch' + recorded_at * interval '1 microsecond' AS recorded_at,
    actor, command_id, correlation_id, causation_id, data::jsonb AS data
FROM log.events;
