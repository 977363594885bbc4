-- Functions of the database and its extensions, and those volatile ones of the server itself. A body only where a look
-- at it tells more than its volatility. Those of one argument that is a row are called as `row.name` too.
SELECT p.oid,
       n.nspname::text,
       p.proname::text,
       p.provolatile = 'v',
       l.lanname::text,
       p.oid < 16384 AS is_system,
       e.objid IS NOT NULL AS is_extension,
       CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.oid >= 16384 AND e.objid IS NULL THEN p.prosrc END,
       (SELECT substr(setting, length('search_path=') + 1)
          FROM unnest(p.proconfig) setting WHERE setting LIKE 'search\_path=%' LIMIT 1),
       ARRAY(SELECT DISTINCT m[1] || ' ' || m[2]
               FROM regexp_matches(coalesce(to_jsonb(p) ->> 'prosqlbody', '') || coalesce(p.proargdefaults::text, ''), {nodes}, 'g') m
              WHERE p.oid >= 16384),
       p.pronargs = 1 AND EXISTS (SELECT FROM pg_type t WHERE t.oid = p.proargtypes[0] AND t.typtype IN ('c', 'p')),
       ARRAY(SELECT t FROM unnest(p.proargtypes::oid[] || p.prorettype) t WHERE t >= 16384),
       (SELECT array_remove(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                  a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[], 0::oid)
          FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_depend e ON e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
 WHERE p.oid >= 16384 OR p.provolatile = 'v'
