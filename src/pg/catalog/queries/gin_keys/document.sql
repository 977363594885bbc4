-- Every value inside a document with the path to it.
inside AS (
    SELECT part, page, ''::text AS path, v FROM indexed
 UNION ALL
    SELECT d.part, d.page, d.path || s.step, s.v
      FROM inside d
     CROSS JOIN LATERAL (SELECT '.' || m.name, m.v
                           FROM pg_catalog.jsonb_each(CASE pg_catalog.jsonb_typeof(d.v) WHEN 'object' THEN d.v ELSE '{}' END) AS m(name, v)
                      UNION ALL
                         SELECT '[]', e.v
                           FROM pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(d.v) WHEN 'array' THEN d.v ELSE '[]' END) AS e(v)
                        ) AS s(step, v)
     WHERE pg_catalog.jsonb_typeof(d.v) IN ('object', 'array')
),
