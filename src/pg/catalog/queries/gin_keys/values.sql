-- jsonb_ops: each value and each name, the long ones as a hash.
keys AS (
    SELECT part, page, mod(abs(hashtext(path)::bigint), 64)::int AS class, 'v' || v::text AS k,
           least(octet_length(v::text), 127) AS bytes
      FROM inside
     WHERE jsonb_typeof(v) NOT IN ('object', 'array')
 UNION ALL
    SELECT part, page, -1, 'k' || substring(path FROM '[^.]*$'), least(octet_length(substring(path FROM '[^.]*$')) + 2, 127)
      FROM inside
     WHERE path LIKE '%.%' AND path NOT LIKE '%[]'
)
