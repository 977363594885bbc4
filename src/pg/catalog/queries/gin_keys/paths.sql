-- jsonb_path_ops: a hash of each value with its path. What stands at one path is of one kind.
keys AS (
    SELECT part, page, pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(path)::bigint), 64)::int AS class, path || ' ' || v::text AS k, 4 AS bytes
      FROM inside
     WHERE pg_catalog.jsonb_typeof(v) NOT IN ('object', 'array')
)
