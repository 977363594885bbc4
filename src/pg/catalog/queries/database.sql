-- Statistics that were never reset are as old as the server's last crash or the database, which nothing
-- tells.
SELECT current_database()::text,
       current_setting('server_version')::text,
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1),
       (SELECT extract(epoch FROM now() - d.stats_reset) / 86400
          FROM pg_stat_database d WHERE d.datname = current_database())::float8,
       (SELECT count(*) FROM pg_stat_replication) + pg_is_in_recovery()::int
