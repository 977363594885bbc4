-- As pg_trgm takes words apart, which need not be installed.
keys AS (
    SELECT i.part, i.page, 0 AS class, substr(w.w, n, 3) AS k, 4 AS bytes
      FROM indexed i
     CROSS JOIN LATERAL (SELECT DISTINCT '  ' || unnest(string_to_array(
                                btrim(regexp_replace(lower(i.v), '[^[:alnum:]]+', ' ', 'g')), ' ')) || ' ' AS w) w
     CROSS JOIN LATERAL generate_series(1, length(w.w) - 2) n
)
