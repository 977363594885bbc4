-- The index just built: size with its partitions, whether its own transaction may use it, who holds it up if not, and the names it goes by in plans.
WITH tree AS (
  SELECT c.oid AS relid
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2
  UNION
  SELECT t.relid
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace, pg_partition_tree(c.oid) t
   WHERE n.nspname = $1 AND c.relname = $2
)
SELECT sum(pg_relation_size(tree.relid))::bigint,
       coalesce(bool_or(i.indcheckxmin), false),
       (SELECT format('%s (pid %s, %s)', a.application_name, a.pid, a.usename)
          FROM pg_stat_activity a
         WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
           AND a.application_name NOT LIKE 'pgassay%'
         ORDER BY age(a.backend_xmin) DESC LIMIT 1),
       array_agg(c.relname::text)
  FROM tree
  JOIN pg_class c ON c.oid = tree.relid
  LEFT JOIN pg_index i ON i.indexrelid = tree.relid
