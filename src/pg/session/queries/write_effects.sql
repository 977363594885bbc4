-- Why a write to a table may do more than a rollback takes back. $1: the table, quoted. Looked at are
-- the table, its partitions, and what foreign keys change along with it. A trigger in PL/pgSQL comes with its
-- body, for a closer look.
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
), reasons(reason, body) AS (
    SELECT format('%s has the trigger %s', t.relid::regclass, g.tgname),
           CASE WHEN l.lanname = 'plpgsql' THEN p.prosrc END
      FROM touched t
      JOIN pg_trigger g ON g.tgrelid = t.relid
      JOIN pg_proc p ON p.oid = g.tgfoid
      JOIN pg_language l ON l.oid = p.prolang
     WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND p.pronamespace <> 'pg_catalog'::regnamespace
    UNION ALL
    SELECT format('%s has the rule %s', t.relid::regclass, r.rulename), NULL
      FROM touched t JOIN pg_rewrite r ON r.ev_class = t.relid
     WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT format('%s is no table of this database', t.relid::regclass), NULL
      FROM touched t JOIN pg_class c ON c.oid = t.relid
     WHERE c.relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT format('a default of %s calls the volatile function %s', t.relid::regclass, p.proname), NULL
      FROM touched t
      JOIN pg_attrdef d ON d.adrelid = t.relid
      JOIN pg_depend e ON e.classid = 'pg_attrdef'::regclass AND e.objid = d.oid AND e.refclassid = 'pg_proc'::regclass
      JOIN pg_proc p ON p.oid = e.refobjid
     WHERE p.provolatile = 'v' AND p.proname NOT LIKE 'uuid\_generate\_v%'
)
SELECT DISTINCT reason, body FROM reasons ORDER BY reason
