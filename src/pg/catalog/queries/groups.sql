-- How many groups of rows that agree in all columns there are of which size. Of the values nothing leaves the
-- server. Rows of values that are not looked at come as one group. Partitions have an index each.
SELECT g.looked_at, g.n::float8, pg_catalog.count(*)::float8
  FROM (SELECT r.looked_at, pg_catalog.count(*) AS n
          FROM (SELECT {looked_at} AS looked_at, tableoid AS part, {columns} FROM {table} WHERE {condition}) r
         GROUP BY r.looked_at, r.part, {values}) g
 GROUP BY g.looked_at, g.n
