-- How many keys of an inverted index there are that equally many rows hold, how large they are, and in how many
-- pages of the table. Of the keys nothing leaves the server. Partitions have an index each.
WITH RECURSIVE indexed AS (
    SELECT tableoid AS part, (ctid::text::point)[0]::bigint AS page, ({expression}) AS v FROM {rows} WHERE {condition}
),
{keys}
SELECT c.class, c.n::float8, count(*)::float8, avg(c.bytes)::float8, sum(c.pages)::float8
  FROM (SELECT p.class, p.k, sum(p.n) AS n, max(p.bytes) AS bytes, count(*) AS pages
          FROM (SELECT class, k, part, page, count(*) AS n, max(bytes) AS bytes FROM keys GROUP BY class, k, part, page) p
         GROUP BY p.class, p.k, p.part) c
 GROUP BY c.class, c.n
