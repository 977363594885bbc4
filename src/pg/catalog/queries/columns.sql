-- Whose statistics are those of a table: its own, or where a partitioned one was never analyzed as a whole, which
-- nothing does by itself, those of its largest partition.
WITH RECURSIVE stats AS MATERIALIZED (
    SELECT * FROM pg_stats
), domains AS (
    -- A domain is what it is made of, to any depth.
    SELECT oid, typbasetype AS base, typtypmod AS modifier FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE d.modifier END
      FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
), source AS MATERIALIZED (
    SELECT c.oid,
           coalesce(largest.schema, n.nspname) AS schema,
           coalesce(largest.name, c.relname) AS name,
           c.relkind = 'p' AND largest.name IS NULL AS inherited
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
           SELECT pn.nspname AS schema, p.relname AS name
             FROM pg_partition_tree(c.oid) t
             JOIN pg_class p ON p.oid = t.relid
             JOIN pg_namespace pn ON pn.oid = p.relnamespace
            WHERE t.isleaf AND p.reltuples > 0
            ORDER BY p.reltuples DESC, pn.nspname, p.relname
            LIMIT 1) largest
        ON c.relkind = 'p'
       AND NOT EXISTS (SELECT 1 FROM stats s
                        WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited)
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
), kinds AS MATERIALIZED (
    SELECT t.oid, ({deduplicates}) AS deduplicates, ({leakproof}) AS leakproof
      FROM pg_type t
     WHERE t.oid IN (SELECT a.atttypid FROM pg_attribute a JOIN source ON source.oid = a.attrelid)
        OR t.oid IN (SELECT base FROM domains)
)
SELECT a.attrelid,
       a.attname::text,
       format_type(t.oid, coalesce(domain.modifier, a.atttypmod)),
       a.attnotnull,
       s.n_distinct::float8,
       s.null_frac::float8,
       s.avg_width,
       s.most_common_freqs,
       s.correlation,
       a.attlen,
       a.attalign::text,
       coalesce(co.collisdeterministic, true) AND kinds.deduplicates,
       -- The provider: that of the collation, or for the default one that of the database (from 15 on
       -- there are others than the C library).
       CASE coalesce(nullif(co.collprovider, 'd')::text, to_jsonb(d) ->> 'datlocprovider', 'c')
            WHEN 'b' THEN true
            WHEN 'c' THEN a.attcollation = 0
                       OR coalesce(nullif(co.collcollate, ''), d.datcollate) IN ('C', 'POSIX')
            ELSE a.attcollation = 0 END AS bytewise,
       l.mean,
       l.deviation,
       l.longest,
       kinds.leakproof
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT d.* FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype <> 'd') domain
         ON domain.oid = a.atttypid
  JOIN pg_type t ON t.oid = coalesce(domain.base, a.atttypid)
  JOIN kinds ON kinds.oid = t.oid
  JOIN pg_database d ON d.datname = current_database()
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  JOIN source ON source.oid = c.oid
  LEFT JOIN stats s
    ON s.schemaname = source.schema AND s.tablename = source.name AND s.attname = a.attname
   AND s.inherited = source.inherited
  -- How long values are as they are stored, and how much they differ: the mean width in the statistics has its
  -- fraction cut off, and says nothing of the rest. Of the values nothing but their length leaves the server.
  LEFT JOIN LATERAL (
       SELECT max(v.bytes) AS longest,
              sum(v.weight * v.bytes) / sum(v.weight) AS mean,
              sqrt(greatest(sum(v.weight * v.bytes * v.bytes) / sum(v.weight) - (sum(v.weight * v.bytes) / sum(v.weight)) ^ 2, 0)) AS deviation
         FROM (SELECT u.weight,
                      CASE WHEN t.oid = 'numeric'::regtype THEN pg_column_size(u.value::numeric) - 3
                           WHEN octet_length(u.value) < 127 THEN octet_length(u.value) + 1
                           ELSE octet_length(u.value) + 4 END::float8
                 FROM (SELECT m.value, m.share::float8
                         FROM unnest(s.most_common_vals::text::text[], s.most_common_freqs) m(value, share)
                        UNION ALL
                       SELECT h.value,
                              greatest(1 - s.null_frac - coalesce((SELECT sum(share) FROM unnest(s.most_common_freqs) share), 0), 0)
                                / count(*) OVER ()
                         FROM unnest(s.histogram_bounds::text::text[]) h(value)) u(value, weight)
              ) v(weight, bytes)
        WHERE v.weight > 0) l
    ON a.attlen = -1 AND t.oid IN ('text'::regtype, 'varchar'::regtype, 'numeric'::regtype)
 WHERE a.attnum > 0
   AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\_toast%'
 ORDER BY a.attrelid, a.attnum
