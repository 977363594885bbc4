-- What the database and its extensions bring; those of the server itself are known.
SELECT n.nspname::text, p.proname::text, (p.pronargs - p.pronargdefaults)::int, p.pronargs::int,
       format_type(p.prorettype, NULL), p.provolatile = 'i'
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY 1, 2, 4, 5
