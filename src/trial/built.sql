-- Size of the index just built with its partitions, whether its own transaction may use it, and who holds it up if not.
SELECT coalesce((SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree(c.oid)), pg_relation_size(c.oid)),
       i.indcheckxmin,
       (SELECT format('%s (pid %s, %s)', a.application_name, a.pid, a.usename)
          FROM pg_stat_activity a
         WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
           AND a.application_name NOT LIKE 'pgassay%'
         ORDER BY age(a.backend_xmin) DESC LIMIT 1)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_index i ON i.indexrelid = c.oid
 WHERE n.nspname = $1 AND c.relname = $2
