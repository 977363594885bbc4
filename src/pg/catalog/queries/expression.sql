-- What the values of an expression are like. Of the values nothing leaves the server.
SELECT coalesce(pg_catalog.sum(v.n) FILTER (WHERE v.x IS NOT NULL), 0)::float8,
       (pg_catalog.count(*) FILTER (WHERE v.x IS NOT NULL))::float8,
       (pg_catalog.count(*) FILTER (WHERE v.x IS NOT NULL AND v.n = 1))::float8,
       coalesce(pg_catalog.sum(v.n) FILTER (WHERE v.x IS NULL) / nullif(pg_catalog.sum(v.n), 0), 0)::float8,
       coalesce(pg_catalog.sum(v.n * s.bytes) / nullif(pg_catalog.sum(v.n) FILTER (WHERE s.bytes IS NOT NULL), 0), 0)::float8,
       coalesce(pg_catalog.stddev_pop(s.bytes), 0)::float8,
       t.typname::text,
       t.typlen,
       t.typalign::text,
       ({deduplicates})
  FROM (SELECT ({expression}) AS x, pg_catalog.count(*) AS n FROM {rows} GROUP BY 1) v
  -- A short value is kept with one byte in front of it, and not with four; so it is where values are grouped.
 CROSS JOIN LATERAL (SELECT CASE WHEN pg_catalog.pg_typeof(v.x) NOT IN ('pg_catalog.text'::pg_catalog.regtype, 'pg_catalog.varchar'::pg_catalog.regtype)
                                 THEN pg_catalog.pg_column_size(v.x)
                                 WHEN pg_catalog.octet_length(v.x::text) < 127 THEN pg_catalog.octet_length(v.x::text) + 1
                                 ELSE pg_catalog.octet_length(v.x::text) + 4 END AS bytes) s
  JOIN pg_catalog.pg_type t ON t.oid = pg_catalog.pg_typeof(v.x)
 GROUP BY t.oid, t.typname, t.typlen, t.typalign, t.typtype, t.typbasetype
