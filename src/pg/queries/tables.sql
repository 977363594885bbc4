-- Tables of the database with size, activity and row security. Partitions belong to their parent.
SELECT c.oid,
       n.nspname::text,
       c.relname::text,
       c.relkind::text,
       -- As the planner does: rows a page at the last ANALYZE, times the pages of today; no more than the
       -- counters say are alive, for dead rows fill pages too. Those know nothing before the first VACUUM
       -- or ANALYZE, and after it count twice what its own session had just written.
       least(CASE WHEN c.relkind = 'r' AND c.relpages > 0 AND c.reltuples > 0
                  THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::float8)
                  ELSE c.reltuples END,
             CASE WHEN s.n_live_tup > 0
                       AND coalesce(s.last_analyze, s.last_autoanalyze, s.last_vacuum, s.last_autovacuum) IS NOT NULL
                  THEN s.n_live_tup END)::float8,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) END AS size_bytes,
       written.inserted,
       c.relkind = 'r' AND s.last_analyze IS NULL AND s.last_autoanalyze IS NULL AS never_analyzed,
       c.relrowsecurity,
       ARRAY(SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
               FROM aclexplode(c.relacl) a
              WHERE a.grantee <> c.relowner
                AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
              ORDER BY 1) AS granted_to,
       CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition,
       written.updated,
       written.hot_updated
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
  CROSS JOIN LATERAL (
        SELECT sum(pg_stat_get_tuples_inserted(t.relid))::bigint AS inserted,
               sum(pg_stat_get_tuples_updated(t.relid))::bigint AS updated,
               sum(pg_stat_get_tuples_hot_updated(t.relid))::bigint AS hot_updated
          FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid)) t
       ) written
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\_toast%'
   AND n.nspname NOT LIKE 'pg\_temp%'
   -- What belongs to an extension is the extension's business.
   AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
