-- Commands that changed nothing, so that they get their first answer when they come again, though there is more to do by then.
-- They are kept for a day at least and removed when others are added; a command that has events is in `commands` for ever.
CREATE TABLE log.unchanged_commands (
    command_id UUID PRIMARY KEY,
    fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
    stream TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 0),
    position BIGINT NOT NULL CHECK (position >= 0),
    at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX unchanged_commands_by_age ON log.unchanged_commands (at);

CREATE TRIGGER unchanged_commands_are_not_rewritten BEFORE UPDATE OR TRUNCATE ON log.unchanged_commands
EXECUTE FUNCTION log.refuse('a command is never altered');
ALTER TABLE log.unchanged_commands ENABLE ALWAYS TRIGGER unchanged_commands_are_not_rewritten;

CREATE TRIGGER unchanged_commands_are_kept BEFORE DELETE ON log.unchanged_commands FOR EACH ROW
WHEN (OLD.at > now() - interval '24 hours')
EXECUTE FUNCTION log.refuse('a command that changed nothing is kept for 24 hours');
ALTER TABLE log.unchanged_commands ENABLE ALWAYS TRIGGER unchanged_commands_are_kept;
