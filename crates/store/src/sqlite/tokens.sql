-- Who may call, from version 2 on. Not events: a token is about access, not about deals. Only the hash of a secret is here. A
-- token is never deleted, so that what was once possible can be told.
CREATE TABLE tokens (
    token_id BLOB NOT NULL PRIMARY KEY CHECK (length(token_id) = 16),
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tokens_are_only_revoked BEFORE UPDATE ON tokens
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
    OR NEW.token_id <> OLD.token_id OR NEW.secret_hash <> OLD.secret_hash OR NEW.actor <> OLD.actor
    OR NEW.name <> OLD.name OR NEW.permissions <> OLD.permissions OR NEW.created_at <> OLD.created_at
    OR NEW.expires_at IS NOT OLD.expires_at
BEGIN SELECT RAISE(ABORT, 'a token is only revoked'); END;

CREATE TRIGGER tokens_are_not_deleted BEFORE DELETE ON tokens
BEGIN SELECT RAISE(ABORT, 'a token is never deleted'); END;

CREATE TRIGGER tokens_are_not_replaced BEFORE INSERT ON tokens
WHEN EXISTS (SELECT 1 FROM tokens WHERE token_id = NEW.token_id)
BEGIN SELECT RAISE(ABORT, 'a token is never replaced'); END;
