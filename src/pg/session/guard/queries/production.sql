-- Signs of a database in production use. Every column is readable by any role, but what others do only by their roles
-- and by pg_read_all_stats: sessions without a state are hidden, and what they lock is not.
WITH others AS (
    SELECT a.pid, a.state
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL
       AND coalesce(a.backend_type, 'client backend') = 'client backend'
       AND NOT (coalesce(a.application_name, '') LIKE 'pgassay/%' AND a.usename = current_user)
)
SELECT pg_is_in_recovery() AS in_recovery,
       (SELECT count(*) FROM pg_stat_replication)
         + (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary) AS standbys,
       current_setting('synchronous_standby_names') <> '' AS synchronous,
       current_setting('archive_mode') <> 'off' AS archiving,
       (SELECT count(*) FROM others o
         WHERE o.state IN ('active', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call')
            OR (o.state IS NULL
                AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = o.pid AND l.locktype = 'relation'))) AS busy_sessions,
       (SELECT count(*) FROM others) AS other_sessions,
       (SELECT count(*) FROM others WHERE state IS NULL) AS hidden_sessions,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
       coalesce(current_setting('pgassay.environment', true), '') AS environment,
       current_database()::text AS database
