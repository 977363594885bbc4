SELECT o.conrelid,
       o.conname::text,
       ARRAY(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY k(num, ord)
               JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.num ORDER BY k.ord),
       n.nspname::text,
       c.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY k(num, ord)
               JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.num ORDER BY k.ord)
  FROM pg_constraint o
  JOIN pg_class c ON c.oid = o.confrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE o.contype = 'f'
   -- Copies that the server keeps for partitions.
   AND o.conparentid = 0
 ORDER BY o.conrelid, o.conname
