-- What a write to a table sets off: on the table, its partitions, and what foreign keys change along with it. $1: the
-- table, quoted. For each its kind, its name in words, the functions in it, and for a trigger its function.
WITH RECURSIVE touched(relid) AS (
    SELECT $1::text::regclass::oid
    UNION
    SELECT next.relid
      FROM touched t
      JOIN (SELECT inhparent AS via, inhrelid AS relid FROM pg_inherits
            UNION ALL
            SELECT confrelid, conrelid FROM pg_constraint
             WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))) next
        ON next.via = t.relid
), effects(kind, name, tree, function) AS (
    SELECT 'trigger', format('%s has the trigger %s', t.relid::regclass, g.tgname), g.tgqual::text, g.tgfoid::oid
      FROM touched t
      JOIN pg_trigger g ON g.tgrelid = t.relid
      JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND p.pronamespace <> 'pg_catalog'::regnamespace
    UNION ALL
    SELECT 'refused', format('%s has the rule %s', t.relid::regclass, r.rulename), NULL, NULL
      FROM touched t JOIN pg_rewrite r ON r.ev_class = t.relid
     WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'refused', format('%s is no table of this database', t.relid::regclass), NULL, NULL
      FROM touched t JOIN pg_class c ON c.oid = t.relid
     WHERE c.relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT 'expression', format('a default of %s', t.relid::regclass), d.adbin::text, NULL
      FROM touched t JOIN pg_attrdef d ON d.adrelid = t.relid
    UNION ALL
    SELECT 'expression', format('the constraint %s of %s', o.conname, t.relid::regclass), o.conbin::text, NULL
      FROM touched t JOIN pg_constraint o ON o.conrelid = t.relid AND o.contype = 'c'
    UNION ALL
    SELECT 'expression', format('the index %s', i.indexrelid::regclass), coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, ''), NULL
      FROM touched t JOIN pg_index i ON i.indrelid = t.relid
    UNION ALL
    SELECT 'expression', format('the policy %s of %s', p.polname, t.relid::regclass), coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, ''), NULL
      FROM touched t JOIN pg_policy p ON p.polrelid = t.relid
      JOIN pg_class c ON c.oid = t.relid AND c.relrowsecurity
    UNION ALL
    SELECT 'expression', format('the type of the column %s of %s', a.attname, t.relid::regclass), ':resulttype ' || a.atttypid, NULL
      FROM touched t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
)
SELECT kind, name,
       ARRAY(SELECT DISTINCT m[1] || ' ' || m[2] FROM regexp_matches(coalesce(tree, ''), {nodes}, 'g') m),
       function
  FROM effects
 ORDER BY kind, name
