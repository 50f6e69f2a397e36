-- What a role needs that serves a log and must not be able to rewrite it, and no more than that. The read models are its own: it
-- makes their schema. Streams grow by a trigger, and tokens are for the owner to give and to revoke.
REVOKE ALL ON ALL TABLES IN SCHEMA log FROM dealog_app;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA log FROM dealog_app;
REVOKE ALL ON SCHEMA log FROM dealog_app;
GRANT USAGE ON SCHEMA log TO dealog_app;
GRANT SELECT, INSERT ON log.events, log.commands TO dealog_app;
GRANT SELECT ON log.streams, log.tokens, log.token_key, log.head, log.migrations, log.events_readable TO dealog_app;
GRANT SELECT, DELETE ON log.unchanged_commands TO dealog_app; -- a trigger refuses to delete what is younger than a day
GRANT INSERT (command_id, fingerprint, stream, version, position) ON log.unchanged_commands TO dealog_app;
GRANT UPDATE (one) ON log.head TO dealog_app; -- what it takes to lock the row; the trigger refuses all updates
GRANT CREATE ON DATABASE current_database TO dealog_app;
