-- Tables of the database with size, activity and row security. Partitions belong to their parent.
WITH analyzed AS MATERIALIZED (
    SELECT DISTINCT schemaname, tablename FROM pg_stats
), parts(root, relid) AS MATERIALIZED (
    SELECT c.oid, c.oid FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'f') AND NOT c.relispartition
    UNION ALL
    SELECT c.oid, t.relid
      FROM pg_class c
     CROSS JOIN LATERAL pg_partition_tree(c.oid) t
     WHERE c.relkind = 'p' AND NOT c.relispartition AND t.isleaf
), sums AS MATERIALIZED (
    SELECT part.root,
           min(part.rows) AS rows,
               sum(part.rows) FILTER (WHERE part.rows >= 0) AS rows_known,
               sum(part.size_bytes)::bigint AS size_bytes,
               bool_and(part.never_analyzed) AS never_analyzed,
               sum(pg_stat_get_tuples_inserted(part.oid))::bigint AS inserted,
               sum(pg_stat_get_tuples_updated(part.oid))::bigint AS updated,
               sum(pg_stat_get_tuples_hot_updated(part.oid))::bigint AS hot_updated,
               array_agg(part.schema ORDER BY part.schema, part.name) AS schemas,
               array_agg(part.name ORDER BY part.schema, part.name) AS names
          FROM (SELECT t.root,
                       p.oid,
                       ps.nspname::text AS schema,
                       p.relname::text AS name,
                       -- As the planner does: rows a page at the last ANALYZE, times the pages of today; no more
                       -- than the counters say are alive, for dead rows fill pages too. Those know nothing before
                       -- the first VACUUM or ANALYZE, and after it count twice what its own session had just
                       -- written.
                       least(CASE WHEN p.relkind = 'r' AND p.relpages > 0 AND p.reltuples > 0
                                  THEN p.reltuples / p.relpages
                                       * (pg_relation_size(p.oid) / current_setting('block_size')::float8)
                                  ELSE p.reltuples END,
                             CASE WHEN pg_stat_get_live_tuples(p.oid) > 0
                                   AND coalesce(pg_stat_get_last_analyze_time(p.oid), pg_stat_get_last_autoanalyze_time(p.oid),
                                                pg_stat_get_last_vacuum_time(p.oid), pg_stat_get_last_autovacuum_time(p.oid)) IS NOT NULL
                                  THEN pg_stat_get_live_tuples(p.oid) END)::float8 AS rows,
                       CASE WHEN p.relkind IN ('r', 'm') THEN pg_relation_size(p.oid) END AS size_bytes,
                       p.relkind = 'r' AND pg_stat_get_last_analyze_time(p.oid) IS NULL
                       AND pg_stat_get_last_autoanalyze_time(p.oid) IS NULL
                       -- Counters may have been reset, or were lost in a crash.
                       AND (ps.nspname, p.relname) NOT IN (SELECT schemaname, tablename FROM analyzed) AS never_analyzed
                  FROM parts t
                  JOIN pg_class p ON p.oid = t.relid
                  JOIN pg_namespace ps ON ps.oid = p.relnamespace
                 -- What is partitioned has no rows of its own.
                 WHERE p.relkind <> 'p') part
     GROUP BY part.root
)
SELECT c.oid,
       n.nspname::text,
       c.relname::text,
       c.relkind::text,
       -- Nothing looks at a partitioned table as a whole until somebody says ANALYZE.
       CASE WHEN c.relkind = 'p' THEN coalesce(of.rows_known, -1) ELSE of.rows END,
       of.size_bytes,
       of.inserted,
       of.never_analyzed,
       c.relrowsecurity,
       ARRAY(SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
               FROM aclexplode(c.relacl) a
              WHERE a.grantee <> c.relowner
                AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
              ORDER BY 1) AS granted_to,
       CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition,
       of.updated,
       of.hot_updated,
       c.relkind = 'r' AND c.relhassubclass,
       CASE WHEN c.relkind = 'p' THEN of.schemas ELSE '{}' END,
       CASE WHEN c.relkind = 'p' THEN of.names ELSE '{}' END,
       ARRAY(SELECT r.rolname::text
               FROM pg_roles r
              WHERE c.relrowsecurity
                AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
                AND r.rolcanlogin
                AND NOT EXISTS (SELECT FROM pg_roles free
                                 WHERE (free.rolsuper OR free.rolbypassrls
                                        OR (free.oid = c.relowner AND NOT c.relforcerowsecurity))
                                   AND pg_has_role(r.oid, free.oid, 'MEMBER'))
              ORDER BY 1),
       -- `NEW.column := …` as a statement of a trigger for each row, before an update; 2 and 16 of the bits say so.
       ARRAY(SELECT DISTINCT a.attname::text
               FROM pg_trigger t
               JOIN pg_proc p ON p.oid = t.tgfoid
              CROSS JOIN LATERAL regexp_matches(
                    p.prosrc, '(?:^|;|\mbegin\M|\mthen\M|\melse\M|\mloop\M)\s*new\.(\w+|"[^"]+")\s*:?=', 'gi') m
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                                  AND a.attname IN (lower(m[1]), trim(m[1], '"'))
              WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                AND t.tgtype & 19 = 19
              ORDER BY 1),
       pg_get_userbyid(c.relowner)::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN sums of ON of.root = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\_toast%'
   AND n.nspname NOT LIKE 'pg\_temp%'
   -- What belongs to an extension is the extension's business.
   AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
