-- As pg_trgm takes words apart, which need not be installed.
keys AS (
    SELECT i.part, i.page, 0 AS class, pg_catalog.substr(w.w, n, 3) AS k, 4 AS bytes
      FROM indexed i
     CROSS JOIN LATERAL (SELECT DISTINCT '  ' || pg_catalog.unnest(pg_catalog.string_to_array(
                                pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.lower(i.v), '[^[:alnum:]]+', ' ', 'g')), ' ')) || ' ' AS w) w
     CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.length(w.w) - 2) n
)
