-- Whether a btree keeps equal values of the type t once: from 13 on, and not where equal values may have
-- different bytes (nbtree's README, "Notes about deduplication").
current_setting('server_version_num')::int >= 130000
  AND EXISTS (SELECT 1 FROM pg_opclass oc
                JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
                JOIN pg_amproc p ON p.amprocfamily = oc.opcfamily AND p.amprocnum = 4
                                AND p.amproclefttype = oc.opcintype
               WHERE oc.opcdefault
                 AND oc.opcintype = CASE
                       WHEN t.typtype = 'e' THEN 'anyenum'::regtype
                       WHEN t.oid = 'varchar'::regtype THEN 'text'::regtype
                       ELSE t.oid END)
