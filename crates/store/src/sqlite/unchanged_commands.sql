-- Commands that changed nothing, so that they get their first answer when they come again, though there is more to do by then.
-- They are kept for a day at least and removed when others are added; a command that has events is in `commands` for ever.
CREATE TABLE unchanged_commands (
    command_id BLOB NOT NULL PRIMARY KEY CHECK (length(command_id) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 0),
    position INTEGER NOT NULL CHECK (position >= 0),
    at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT, WITHOUT ROWID;

CREATE INDEX unchanged_commands_by_age ON unchanged_commands (at);

CREATE TRIGGER unchanged_commands_are_not_replaced BEFORE INSERT ON unchanged_commands
WHEN EXISTS (SELECT 1 FROM unchanged_commands WHERE command_id = NEW.command_id)
    OR EXISTS (SELECT 1 FROM commands WHERE command_id = NEW.command_id)
BEGIN SELECT RAISE(ABORT, 'a command is never replaced'); END;

CREATE TRIGGER unchanged_commands_are_not_altered BEFORE UPDATE ON unchanged_commands
BEGIN SELECT RAISE(ABORT, 'a command is never altered'); END;

CREATE TRIGGER unchanged_commands_are_kept BEFORE DELETE ON unchanged_commands
WHEN OLD.at > (unixepoch('subsec') - 24 * 3600) * 1000000
BEGIN SELECT RAISE(ABORT, 'a command that changed nothing is kept for 24 hours'); END;
