-- Whether a btree keeps equal values of the type t once: from 13 on, and not where equal values may have
-- different bytes (nbtree's README, "Notes about deduplication").
pg_catalog.current_setting('server_version_num')::int >= 130000
  AND EXISTS (SELECT 1 FROM (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS oid) base
                JOIN pg_catalog.pg_opclass oc ON oc.opcdefault
                 AND oc.opcintype = CASE
                       WHEN t.typtype = 'e' THEN 'anyenum'::pg_catalog.regtype
                       WHEN base.oid = 'pg_catalog.varchar'::pg_catalog.regtype THEN 'pg_catalog.text'::pg_catalog.regtype
                       WHEN base.oid = 'cidr'::pg_catalog.regtype THEN 'inet'::pg_catalog.regtype
                       ELSE base.oid END
                JOIN pg_catalog.pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
                JOIN pg_catalog.pg_amproc p ON p.amprocfamily = oc.opcfamily AND p.amprocnum = 4
                                AND p.amproclefttype = oc.opcintype
               -- Blanks at the end do not count, so equal values may differ. Since the minor releases of
               -- November 2026 the server minds; before 19 the function is there all the same.
               WHERE base.oid <> 'bpchar'::pg_catalog.regtype
                  OR coalesce(pg_catalog.current_setting('server_version_num')::int % 10000
                                < (ARRAY[25, 20, 16, 12, 6])[pg_catalog.current_setting('server_version_num')::int / 10000 - 13],
                              pg_catalog.current_setting('server_version_num')::int < 140000))
