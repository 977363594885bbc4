-- An index of this name: valid, the table it is on, who is building it at this moment, size with its partitions. $1: schema, $2: name.
SELECT i.indisvalid AND i.indisready AND i.indislive,
       n.nspname::text,
       t.relname::text,
       (SELECT min(p.pid) FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid),
       coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(c.oid)), pg_relation_size(c.oid))::bigint
  FROM pg_class c
  JOIN pg_namespace s ON s.oid = c.relnamespace
  JOIN pg_index i ON i.indexrelid = c.oid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE s.nspname = $1 AND c.relname = $2
