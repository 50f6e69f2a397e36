-- A token carries a check that is made with this key, so that one which was never given out is refused without a look at the
-- tokens. It is the log's own: a copy of the log takes it over, as long as no token depends on another.
CREATE TABLE token_key (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO token_key (one, key) VALUES (1, randomblob(32));

CREATE TRIGGER token_key_stays BEFORE UPDATE ON token_key
WHEN EXISTS (SELECT 1 FROM tokens)
BEGIN SELECT RAISE(ABORT, 'the key of tokens stays while there are any'); END;

CREATE TRIGGER token_key_is_not_deleted BEFORE DELETE ON token_key
BEGIN SELECT RAISE(ABORT, 'the key of tokens is never deleted'); END;

CREATE TRIGGER token_key_is_not_replaced BEFORE INSERT ON token_key
WHEN EXISTS (SELECT 1 FROM token_key)
BEGIN SELECT RAISE(ABORT, 'the key of tokens is never replaced'); END;

-- Who made a token and who revoked it; null where that was not recorded.
ALTER TABLE tokens ADD COLUMN created_by TEXT;
ALTER TABLE tokens ADD COLUMN revoked_by TEXT;

CREATE TRIGGER tokens_keep_who_made_them BEFORE UPDATE ON tokens
WHEN NEW.created_by IS NOT OLD.created_by
BEGIN SELECT RAISE(ABORT, 'who made a token is never altered'); END;
