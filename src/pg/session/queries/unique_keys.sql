-- Columns of each unique index of a table, as far as all its keys are columns. $1: the table, quoted.
SELECT array_agg(a.attname::text ORDER BY k.position)
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indpred IS NULL AND k.position <= i.indnkeyatts
   AND 0 <> ALL (i.indkey::int2[])
 GROUP BY i.indexrelid
 ORDER BY i.indexrelid
