-- A partitioned table and everything below it, from the top: relation, kind, parent, and the index that hangs below the parent's index of the name $2. $1: the table, quoted.
SELECT n.nspname::text,
       c.relname::text,
       c.relkind::text,
       pn.nspname::text,
       p.relname::text,
       (SELECT x.relname::text
          FROM pg_index i
          JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_inherits h ON h.inhrelid = i.indexrelid
          JOIN pg_index above ON above.indexrelid = h.inhparent AND above.indrelid = t.parentrelid
         WHERE i.indrelid = c.oid
           AND (SELECT r.relname = $2 FROM pg_class r WHERE r.oid = pg_partition_root(i.indexrelid)))
  FROM pg_partition_tree($1::text::regclass) t
  JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class p ON p.oid = t.parentrelid
  LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
 ORDER BY t.level, 1, 2
