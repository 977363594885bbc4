-- Last values of the sequences that tables take defaults from or own, as far as this role may read them. $1: the tables,
-- quoted.
SELECT format('%I.%I', n.nspname, s.relname), pg_sequence_last_value(s.oid)
  FROM pg_class s
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE s.relkind = 'S'
   AND CASE WHEN s.relkind = 'S' THEN has_sequence_privilege(s.oid, 'SELECT') END
   AND (EXISTS (SELECT FROM pg_depend d
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjid = ANY (ARRAY(SELECT t::regclass::oid FROM unnest($1) t)))
        OR EXISTS (SELECT FROM pg_attrdef a
                     JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
                                     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
                    WHERE a.adrelid = ANY (ARRAY(SELECT t::regclass::oid FROM unnest($1) t))))
 ORDER BY 1
