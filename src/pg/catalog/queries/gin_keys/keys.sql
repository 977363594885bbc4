-- How many keys of an inverted index there are that equally many rows hold, how large they are, and in how many
-- pages of the table. Of the keys nothing leaves the server. Partitions have an index each.
WITH RECURSIVE indexed AS (
    SELECT tableoid AS part, (ctid::text::point)[0]::bigint AS page, ({expression}) AS v FROM {rows} WHERE {condition}
),
{keys}
SELECT c.class, c.n::float8, pg_catalog.count(*)::float8, pg_catalog.avg(c.bytes)::float8, pg_catalog.sum(c.pages)::float8
  FROM (SELECT p.class, p.k, pg_catalog.sum(p.n) AS n, pg_catalog.max(p.bytes) AS bytes, pg_catalog.count(*) AS pages
          FROM (SELECT class, k, part, page, pg_catalog.count(*) AS n, pg_catalog.max(bytes) AS bytes FROM keys GROUP BY class, k, part, page) p
         GROUP BY p.class, p.k, p.part) c
 GROUP BY c.class, c.n
