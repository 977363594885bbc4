-- Of the functions a statement names, those that may do more than compute: volatile ones, whatever
-- their overloads. $1: lower-case names without schema.
SELECT DISTINCT p.proname::text
  FROM pg_proc p
 WHERE p.proname = ANY ($1)
   AND p.provolatile = 'v'
   AND p.proname NOT IN ('random', 'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuid_generate_v4',
                         'random_normal', 'uuidv4', 'uuidv7')
 ORDER BY 1
