-- Privileges that roles other than the owner will have on what is made later.
SELECT DISTINCT jsonb_build_object(
           'schema', n.nspname,
           'objects', CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                           WHEN 'T' THEN 'types' ELSE 'schemas' END,
           'role', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END,
           'privilege', a.privilege_type)::text
  FROM pg_default_acl d
  LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN LATERAL aclexplode(d.defaclacl) a
 WHERE a.grantee <> d.defaclrole
 ORDER BY 1
