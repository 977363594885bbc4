-- indoption: bit 1 descending, bit 2 nulls first. The operator class only where it is not the default, the
-- collation only where it is not that of the column or, as its definition tells, of the expression.
-- Those of partitions stand at the table that they are parts of in the end.
SELECT CASE WHEN r.relispartition THEN pg_partition_root(i.indrelid)::oid ELSE i.indrelid END,
       n.nspname::text,
       c.relname::text,
       am.amname::text,
       ARRAY(SELECT CASE WHEN i.indkey[k - 1] = 0 THEN pg_get_indexdef(i.indexrelid, k, true)
                         ELSE (SELECT quote_ident(a.attname) FROM pg_attribute a
                                WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1]) END
               FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
       ARRAY(SELECT i.indkey[k - 1] <> 0 FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
       ARRAY(SELECT i.indoption[k - 1]::int FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
       ARRAY(SELECT CASE WHEN a.attoptions IS NOT NULL
                         THEN oc.opcname || '(' || array_to_string(a.attoptions, ', ') || ')'
                         WHEN NOT oc.opcdefault THEN oc.opcname::text END
               FROM generate_series(1, i.indnkeyatts) k
               JOIN pg_opclass oc ON oc.oid = i.indclass[k - 1]
               JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = k
              ORDER BY k),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true)
               FROM generate_series(i.indnkeyatts + 1, i.indnatts) k ORDER BY k),
       pg_get_expr(i.indpred, i.indrelid, true),
       i.indisunique,
       i.indisprimary,
       EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')),
       i.indisvalid AND i.indisready,
       parts.size_bytes,
       parts.scans,
       -- Whole, so that it can be made again: not for the parent alone, and in its tablespace.
       replace(replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '),
               coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), ' '),
               CASE WHEN i.indpred IS NULL THEN ' ' ELSE '' END)
         || coalesce((SELECT format(' TABLESPACE %I', t.spcname)
                        FROM pg_tablespace t WHERE t.oid = c.reltablespace), '')
         || coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), ''),
       -- A role sees that somebody else builds an index, and not which one.
       coalesce(i.indexrelid = ANY (ARRAY(SELECT p.index_relid FROM pg_stat_progress_create_index p)), false),
       ARRAY(SELECT format('COMMENT ON INDEX %I.%I IS %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class'))
              WHERE obj_description(c.oid, 'pg_class') IS NOT NULL
             UNION ALL
             SELECT format('ALTER TABLE %I.%I CLUSTER ON %I', n.nspname, (SELECT relname FROM pg_class WHERE oid = i.indrelid), c.relname) WHERE i.indisclustered
             UNION ALL
             SELECT format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', n.nspname, c.relname, a.attnum, a.attstattarget)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget > 0),
       ARRAY(SELECT CASE WHEN CASE WHEN i.indkey[k - 1] <> 0 THEN co.oid <> a.attcollation
                                   ELSE strpos(pg_get_indexdef(i.indexrelid),
                                               pg_get_indexdef(i.indexrelid, k, false) || ' COLLATE ') > 0 END
                         THEN CASE WHEN co.collnamespace = 'pg_catalog'::regnamespace THEN format('%I', co.collname)
                                   ELSE format('%I.%I', cn.nspname, co.collname) END END
               FROM generate_series(1, i.indnkeyatts) k
               LEFT JOIN pg_collation co ON co.oid = i.indcollation[k - 1]
               LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
               LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum <> 0
              ORDER BY k),
       coalesce(c.reloptions, '{}'),
       i.indisclustered,
       r.relispartition,
       rn.nspname::text,
       r.relname::text,
       c.relkind = 'I',
       (SELECT ARRAY[an.nspname::text, a.relname::text]
          FROM pg_inherits h
          JOIN pg_class a ON a.oid = h.inhparent
          JOIN pg_namespace an ON an.oid = a.relnamespace
         WHERE h.inhrelid = i.indexrelid)
  FROM pg_index i
  JOIN pg_class r ON r.oid = i.indrelid
  JOIN pg_namespace rn ON rn.oid = r.relnamespace
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am am ON am.oid = c.relam
  -- The index of a partitioned table is those of its partitions.
  CROSS JOIN LATERAL (
        SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::bigint AS size_bytes,
               sum(pg_stat_get_numscans(t.relid))::bigint AS scans
          FROM (SELECT i.indexrelid AS relid WHERE c.relkind = 'i'
                UNION
                SELECT relid FROM pg_partition_tree(CASE WHEN c.relkind = 'I' THEN i.indexrelid END) WHERE isleaf) t
       ) parts
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\_toast%'
 ORDER BY n.nspname, c.relname
