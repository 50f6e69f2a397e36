-- What a role needs that serves a log and must not be able to rewrite it. The read models are its own: it makes their schema.
GRANT USAGE ON SCHEMA log TO dealog_app;
GRANT SELECT, INSERT ON log.events, log.commands, log.streams, log.tokens TO dealog_app;
GRANT SELECT ON log.head, log.migrations, log.events_readable, log.token_key TO dealog_app;
GRANT SELECT, DELETE ON log.unchanged_commands TO dealog_app; -- a trigger refuses to delete what is younger than a day
GRANT INSERT (command_id, fingerprint, stream, version, position) ON log.unchanged_commands TO dealog_app;
GRANT UPDATE (one) ON log.head TO dealog_app; -- what it takes to lock the row; the trigger refuses all updates
GRANT UPDATE (version, occurred_at) ON log.streams TO dealog_app;
GRANT UPDATE (revoked_at, revoked_by) ON log.tokens TO dealog_app;
GRANT CREATE ON DATABASE current_database TO dealog_app;
