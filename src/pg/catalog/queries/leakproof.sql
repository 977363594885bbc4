-- Whether the comparisons of the type t by its default btree operator class are LEAKPROOF.
EXISTS (SELECT 1 FROM (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS oid) base
          JOIN pg_opclass oc ON oc.opcdefault
           AND oc.opcintype = CASE
                 WHEN t.typtype = 'e' THEN 'anyenum'::regtype
                 WHEN t.typcategory = 'A' THEN 'anyarray'::regtype
                 WHEN base.oid = 'varchar'::regtype THEN 'text'::regtype
                 WHEN base.oid = 'cidr'::regtype THEN 'inet'::regtype
                 ELSE base.oid END
          JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
          JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
                         AND ao.amoprighttype = oc.opcintype
          JOIN pg_operator o ON o.oid = ao.amopopr
          JOIN pg_proc p ON p.oid = o.oprcode
        HAVING bool_and(p.proleakproof))
