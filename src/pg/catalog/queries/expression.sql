-- What the values of an expression are like. Of the values nothing leaves the server.
SELECT coalesce(sum(v.n) FILTER (WHERE v.x IS NOT NULL), 0)::float8,
       (count(*) FILTER (WHERE v.x IS NOT NULL))::float8,
       (count(*) FILTER (WHERE v.x IS NOT NULL AND v.n = 1))::float8,
       coalesce(sum(v.n) FILTER (WHERE v.x IS NULL) / nullif(sum(v.n), 0), 0)::float8,
       coalesce(sum(v.n * s.bytes) / nullif(sum(v.n) FILTER (WHERE s.bytes IS NOT NULL), 0), 0)::float8,
       coalesce(stddev_pop(s.bytes), 0)::float8,
       t.typname::text,
       t.typlen,
       t.typalign::text,
       ({deduplicates})
  FROM (SELECT ({expression}) AS x, count(*) AS n FROM {rows} GROUP BY 1) v
  -- A short value is kept with one byte in front of it, and not with four; so it is where values are grouped.
 CROSS JOIN LATERAL (SELECT CASE WHEN pg_typeof(v.x) NOT IN ('text'::regtype, 'varchar'::regtype)
                                 THEN pg_column_size(v.x)
                                 WHEN octet_length(v.x::text) < 127 THEN octet_length(v.x::text) + 1
                                 ELSE octet_length(v.x::text) + 4 END AS bytes) s
  JOIN pg_type t ON t.oid = pg_typeof(v.x)
 GROUP BY t.oid, t.typname, t.typlen, t.typalign, t.typtype, t.typbasetype
