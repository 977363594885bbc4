-- What roles may not do with tables. $1: the roles; $2, $3: schemas and names of the tables, side by side.
SELECT r.rolname::text, n.nspname::text, c.relname::text, p.privilege
  FROM pg_roles r
 CROSS JOIN unnest($2, $3) asked(schema, name)
  JOIN pg_namespace n ON n.nspname = asked.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(privilege)
 WHERE r.rolname = ANY ($1)
   AND NOT (has_schema_privilege(r.oid, n.oid, 'USAGE')
            AND CASE p.privilege WHEN 'DELETE' THEN has_table_privilege(r.oid, c.oid, 'DELETE')
                                 ELSE has_any_column_privilege(r.oid, c.oid, p.privilege) END)
