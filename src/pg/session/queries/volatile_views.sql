-- Volatile functions behind views, to any depth. $1: lower-case names of relations.
WITH RECURSIVE used(relid) AS (
    SELECT c.oid FROM pg_class c WHERE c.relkind = 'v' AND c.relname = ANY ($1)
    UNION
    SELECT d.refobjid
      FROM used u
      JOIN pg_rewrite r ON r.ev_class = u.relid
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.relid
)
SELECT DISTINCT p.proname::text
  FROM used u
  JOIN pg_rewrite r ON r.ev_class = u.relid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                  AND d.refclassid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.refobjid
 WHERE p.provolatile = 'v'
   AND p.proname NOT IN ('random', 'clock_timestamp', 'timeofday', 'gen_random_uuid')
 ORDER BY 1
