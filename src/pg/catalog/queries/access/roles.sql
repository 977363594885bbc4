-- Roles, and whose privileges each has or may take.
SELECT jsonb_build_object(
           'name', r.rolname,
           'superuser', r.rolsuper,
           'bypass_rls', r.rolbypassrls,
           'can_login', r.rolcanlogin,
           'member_of', (SELECT coalesce(jsonb_agg(m.rolname ORDER BY m.rolname), '[]')
                           FROM pg_roles m
                          WHERE m.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, m.oid, 'MEMBER')))::text
  FROM pg_roles r
 WHERE r.rolname NOT LIKE 'pg\_%'
 ORDER BY r.rolname
