-- jsonb_ops: each value and each name, the long ones as a hash.
keys AS (
    SELECT part, page, pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(path)::bigint), 64)::int AS class, 'v' || v::text AS k,
           least(pg_catalog.octet_length(v::text), 127) AS bytes
      FROM inside
     WHERE pg_catalog.jsonb_typeof(v) NOT IN ('object', 'array')
 UNION ALL
    SELECT part, page, -1, 'k' || pg_catalog.substring(path, '[^.]*$'), least(pg_catalog.octet_length(pg_catalog.substring(path, '[^.]*$')) + 2, 127)
      FROM inside
     WHERE path LIKE '%.%' AND path NOT LIKE '%[]'
)
