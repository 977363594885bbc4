SELECT current_setting('server_version')::text,
       (SELECT extversion::text FROM pg_extension WHERE extname = 'pg_stat_statements'),
       current_setting('pg_stat_statements.max', true) IS NOT NULL,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
       (SELECT extversion::text FROM pg_extension WHERE extname = 'hypopg'),
       ARRAY(SELECT s.schemaname || '.' || s.relname FROM pg_stat_user_tables s
              WHERE s.last_analyze IS NULL AND s.last_autoanalyze IS NULL
                -- Counters may have been reset, or were lost in a crash.
                AND NOT EXISTS (SELECT FROM pg_stats st WHERE st.schemaname = s.schemaname AND st.tablename = s.relname)
              ORDER BY 1),
       coalesce(current_setting('pgassay.environment', true), ''),
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       current_setting('log_min_duration_statement')::int,
       current_setting('log_line_prefix'),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND NOT pg_has_role(current_user, c.relowner, 'USAGE')) AS tables_of_others,
       ARRAY(SELECT n.nspname || '.' || c.relname
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
              ORDER BY 1) AS unreadable
