-- jsonb_path_ops: a hash of each value with its path. What stands at one path is of one kind.
keys AS (
    SELECT part, page, mod(abs(hashtext(path)::bigint), 64)::int AS class, path || ' ' || v::text AS k, 4 AS bytes
      FROM inside
     WHERE jsonb_typeof(v) NOT IN ('object', 'array')
)
