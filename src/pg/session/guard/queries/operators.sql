-- Operators that the server does not bring itself, with the function that each calls.
SELECT o.oid, n.nspname::text, o.oprname::text, o.oprcode::oid
  FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE o.oid >= 16384
