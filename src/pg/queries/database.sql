SELECT current_database()::text,
       current_setting('server_version')::text,
       current_schemas(false)::text[],
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1)
