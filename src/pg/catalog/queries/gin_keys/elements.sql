-- Keys of one length are of one kind: each kind is frequent or rare in its own way.
keys AS (
    SELECT i.part, i.page, pg_catalog.length(e.k::text) AS class, e.k, pg_catalog.pg_column_size(e.k) AS bytes
      FROM indexed i CROSS JOIN LATERAL pg_catalog.unnest({elements}) AS e(k)
     WHERE e.k IS NOT NULL
)
