-- Appends by the rules alone, whoever may INSERT: positions are the next ones, versions the next of their stream, times do not run
-- backwards, every event has its command and every command its events, and all of it can be read again. Streams follow by
-- themselves, and a role that serves writes neither them nor tokens.
--
-- The functions run as the owner of the log and in a search_path of their own. What is between quotes has no backslash: what
-- that means is for the session to say.

-- Whether this is a stream's name. An id that is none is an error of its own. Patterns that count would cost more than all else
-- that is looked at.
CREATE FUNCTION log.is_stream(name text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT name = 'settings' OR (split_part(name, '-', 1) IN ('deal', 'pipeline', 'customer', 'user', 'team')
        AND substr(name, strpos(name, '-') + 1) = substr(name, strpos(name, '-') + 1)::uuid::text)
$$;

CREATE FUNCTION log.follow_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- A day, in microseconds, ahead of the database's clock: clocks differ, and no event of the year 9999 makes all that follow
    -- it as late.
    latest CONSTANT bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + 86400000000;
    wrong record;
BEGIN
    -- Or whoever has a table could give it this trigger, and its rows to streams.
    IF TG_RELID <> 'log.events'::regclass THEN
        RAISE EXCEPTION 'this is for the events of the log' USING ERRCODE = 'restrict_violation';
    END IF;
    -- All queries in this statement see streams as they were before it.
    WITH grown AS (
        INSERT INTO log.streams (stream, version, occurred_at)
        SELECT DISTINCT ON (stream) stream, version, occurred_at FROM appended ORDER BY stream, position DESC
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, occurred_at = excluded.occurred_at
    ), before AS MATERIALIZED (
        SELECT position, recorded_at FROM log.events WHERE position < (SELECT min(position) FROM appended)
        ORDER BY position DESC LIMIT 1
    ), judged AS (
        SELECT event.position, CASE
            WHEN event.position IS DISTINCT FROM
                coalesce(lag(event.position) OVER log, before.position, 0) + 1
                THEN 'is not the next position'
            WHEN event.version IS DISTINCT FROM coalesce(lag(event.version) OVER stream, streams.version, 0) + 1
                THEN 'is not the next version of its stream'
            WHEN event.occurred_at < coalesce(lag(event.occurred_at) OVER stream, streams.occurred_at, -62135596800000000)
                THEN 'happened before the event before it in its stream'
            WHEN event.recorded_at < coalesce(lag(event.recorded_at) OVER log, before.recorded_at, -62135596800000000)
                THEN 'was recorded before the event before it'
            -- A log whose time is ahead already goes on from there.
            WHEN event.occurred_at > greatest(latest, streams.occurred_at, before.recorded_at)
                OR event.recorded_at > greatest(latest, before.recorded_at)
                THEN 'is more than a day ahead of the database''s clock'
            WHEN streams.stream IS NULL AND NOT log.is_stream(event.stream) THEN 'has no stream'
            WHEN event.actor <> 'local' AND (
                split_part(event.actor, ':', 1) NOT IN ('user', 'service', 'rule', 'import')
                OR substr(event.actor, strpos(event.actor, ':') + 1)
                    <> substr(event.actor, strpos(event.actor, ':') + 1)::uuid::text)
                THEN 'has no actor'
            WHEN event.type !~ '^[a-z][a-z0-9_]*[.][a-z][a-z0-9_.]*$' OR octet_length(event.type) > 200
                THEN 'has no type'
            WHEN octet_length(event.data) > 65536 OR left(event.data, 1) <> '{' OR right(event.data, 1) <> '}'
                OR json_typeof(event.data::json) <> 'object'
                THEN 'has data that are too long or not a JSON object'
            WHEN command.stream IS DISTINCT FROM event.stream
                OR command.version - event.version <> command.position - event.position
                OR event.position > command.position
                OR (lead(event.command_id) OVER log IS DISTINCT FROM event.command_id
                    AND event.position <> command.position)
                OR CASE WHEN lag(event.command_id) OVER log IS DISTINCT FROM event.command_id
                    THEN event.position <> command.position - command.events + 1
                    ELSE event.position <= command.position - command.events + 1 END
                THEN 'is not of the command that is remembered for it'
            WHEN set_byte(set_byte(id.bytes, 6, get_byte(id.bytes, 6) & 15 | 128), 8, get_byte(id.bytes, 8) & 63 | 128)
                <> uuid_send(event.event_id)
                -- As an earlier version made ids. They come with a log that is copied, which only its owner can do.
                AND NOT (substr(event.event_id::text, 15, 1) = '5' AND pg_has_role(session_user, current_user, 'USAGE'))
                THEN 'does not have the id that its command gives it'
            END AS reason
        FROM appended AS event
        LEFT JOIN before ON true
        LEFT JOIN log.streams ON streams.stream = event.stream
        LEFT JOIN log.commands AS command ON command.command_id = event.command_id
        CROSS JOIN LATERAL (SELECT substr(sha256(uuid_send(event.command_id)
            || int8send(event.position - command.position + command.events - 1)), 1, 16) AS bytes) AS id
        WINDOW log AS (ORDER BY event.position), stream AS (PARTITION BY event.stream ORDER BY event.position)
    )
    SELECT position, reason INTO wrong FROM judged WHERE reason IS NOT NULL ORDER BY position LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the event at position % %', wrong.position, wrong.reason USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER events_follow AFTER INSERT ON log.events REFERENCING NEW TABLE AS appended
FOR EACH STATEMENT EXECUTE FUNCTION log.follow_events();
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_follow;

-- The events have seen to all else: one that has this command was inserted together with it. Nor did the command change nothing
-- before.
CREATE FUNCTION log.follow_commands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT command.command_id INTO wrong
    FROM remembered AS command LEFT JOIN log.events AS event ON event.position = command.position
        LEFT JOIN log.unchanged_commands AS unchanged ON unchanged.command_id = command.command_id
    WHERE event.command_id IS DISTINCT FROM command.command_id OR unchanged.command_id IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the command % has no events, or changed nothing before', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER commands_brought_events AFTER INSERT ON log.commands REFERENCING NEW TABLE AS remembered
FOR EACH STATEMENT EXECUTE FUNCTION log.follow_commands();
ALTER TABLE log.commands ENABLE ALWAYS TRIGGER commands_brought_events;

-- What changed nothing found a version that there is, and brought no events.
CREATE FUNCTION log.follow_unchanged_commands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT found.command_id INTO wrong
    FROM remembered AS found LEFT JOIN log.streams ON streams.stream = found.stream
        LEFT JOIN log.commands AS command ON command.command_id = found.command_id
    WHERE found.version > coalesce(streams.version, 0) OR command.command_id IS NOT NULL
        OR found.position > (SELECT coalesce(max(position), 0) FROM log.events)
        OR (streams.stream IS NULL AND NOT log.is_stream(found.stream))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the command % cannot have changed nothing', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER unchanged_commands_fit AFTER INSERT ON log.unchanged_commands REFERENCING NEW TABLE AS remembered
FOR EACH STATEMENT EXECUTE FUNCTION log.follow_unchanged_commands();
ALTER TABLE log.unchanged_commands ENABLE ALWAYS TRIGGER unchanged_commands_fit;

REVOKE ALL ON FUNCTION log.is_stream(text), log.follow_events(), log.follow_commands(), log.follow_unchanged_commands() FROM PUBLIC;

-- What roles were granted before and may not do any more.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN
        SELECT DISTINCT grantee.rolname FROM pg_catalog.pg_roles AS grantee
        WHERE grantee.oid NOT IN (SELECT relowner FROM pg_catalog.pg_class WHERE oid IN ('log.streams'::regclass, 'log.tokens'::regclass))
            AND EXISTS (
                SELECT FROM pg_catalog.pg_class AS relation
                CROSS JOIN pg_catalog.aclexplode(relation.relacl) AS acl
                WHERE relation.oid IN ('log.streams'::regclass, 'log.tokens'::regclass) AND acl.grantee = grantee.oid)
    LOOP
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE ON log.streams, log.tokens FROM %I', role);
    END LOOP;
END
$$;
