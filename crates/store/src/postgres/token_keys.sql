-- A token carries a check that is made with this key, so that one which was never given out is refused without a look at the
-- tokens. It is the log's own: a copy of the log takes it over, as long as no token depends on another. The random ids are
-- 366 bits from the server's strong generator, without an extension.
CREATE TABLE log.token_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BYTEA NOT NULL CHECK (octet_length(key) = 32)
);
INSERT INTO log.token_key (one, key)
VALUES (1, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE FUNCTION log.refuse_another_token_key() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM log.tokens) THEN
        RAISE EXCEPTION 'the key of tokens stays while there are any' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER token_key_stays BEFORE UPDATE ON log.token_key FOR EACH ROW
EXECUTE FUNCTION log.refuse_another_token_key();
ALTER TABLE log.token_key ENABLE ALWAYS TRIGGER token_key_stays;

CREATE TRIGGER token_key_is_not_deleted BEFORE DELETE OR TRUNCATE ON log.token_key
EXECUTE FUNCTION log.refuse('the key of tokens is never deleted');
ALTER TABLE log.token_key ENABLE ALWAYS TRIGGER token_key_is_not_deleted;

-- Who made a token and who revoked it; null where that was not recorded.
ALTER TABLE log.tokens ADD COLUMN created_by TEXT;
ALTER TABLE log.tokens ADD COLUMN revoked_by TEXT;

CREATE TRIGGER tokens_keep_who_made_them BEFORE UPDATE ON log.tokens FOR EACH ROW
WHEN (NEW.created_by IS DISTINCT FROM OLD.created_by)
EXECUTE FUNCTION log.refuse('who made a token is never altered');
ALTER TABLE log.tokens ENABLE ALWAYS TRIGGER tokens_keep_who_made_them;
