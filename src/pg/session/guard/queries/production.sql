-- Signs of a database in production use. Every column is readable by any role.
SELECT pg_is_in_recovery(),
       (SELECT count(*) FROM pg_stat_replication) AS standbys,
       current_setting('synchronous_standby_names') <> '' AS synchronous,
       current_setting('archive_mode') <> 'off' AS archiving,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend'
           AND pid <> pg_backend_pid() AND application_name NOT LIKE 'pgassay%'
           AND state IN ('active', 'idle in transaction')) AS busy_sessions,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend'
           AND pid <> pg_backend_pid() AND application_name NOT LIKE 'pgassay%') AS other_sessions,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
       coalesce(current_setting('pgassay.environment', true), '') AS environment,
       current_database()::text
