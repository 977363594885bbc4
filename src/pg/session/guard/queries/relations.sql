-- Relations of which a read may call functions or go elsewhere: views by their rules, tables by their policies and by
-- parts that are foreign; and those with columns of types of their own, which casts are for.
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
       ARRAY(SELECT DISTINCT m[1] || ' ' || m[2]
               FROM pg_rewrite r
              CROSS JOIN LATERAL regexp_matches(r.ev_action::text, {nodes}, 'g') m
              WHERE r.ev_class = c.oid AND c.relkind = 'v' AND r.rulename = '_RETURN'),
       ARRAY(SELECT DISTINCT m[1] || ' ' || m[2]
               FROM pg_policy p
              CROSS JOIN LATERAL regexp_matches(coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, ''), {nodes}, 'g') m
              WHERE p.polrelid = c.oid AND c.relrowsecurity),
       ARRAY(SELECT h.inhrelid FROM pg_inherits h WHERE h.inhparent = c.oid),
       ARRAY(SELECT DISTINCT a.atttypid FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (c.relkind IN ('v', 'f') OR c.relrowsecurity OR c.relhassubclass
        OR (c.oid >= 16384 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384)))
