-- Types that call functions: domains by their conditions, and what is cast by a function. With what they are parts of
-- (the type's own number for a domain or a cast, else the number of the part).
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype = 'd', t.typrelid <> 0 AND c.relkind <> 'c',
       ARRAY(SELECT DISTINCT m[1] || ' ' || m[2]
               FROM pg_constraint o
              CROSS JOIN LATERAL regexp_matches(o.conbin::text, {nodes}, 'g') m
              WHERE o.contypid = t.oid),
       ARRAY(SELECT k.castfunc::oid FROM pg_cast k
              WHERE k.oid >= 16384 AND k.castfunc <> 0 AND t.oid IN (k.castsource, k.casttarget)),
       ARRAY(SELECT part FROM unnest(ARRAY[t.typbasetype, t.typelem]
                                     || ARRAY(SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid)
                                     || ARRAY(SELECT a.atttypid FROM pg_attribute a
                                               WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) part
              WHERE part >= 16384)
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE t.oid >= 16384
   AND (t.typtype IN ('d', 'r', 'm') OR t.typelem >= 16384
        OR EXISTS (SELECT FROM pg_cast k WHERE k.oid >= 16384 AND k.castfunc <> 0 AND t.oid IN (k.castsource, k.casttarget))
        OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND a.atttypid >= 16384))
