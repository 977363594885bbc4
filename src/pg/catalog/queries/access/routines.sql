-- Functions and procedures of the database itself, with what decides whose power they have.
SELECT jsonb_build_object(
           'name', jsonb_build_object('schema', n.nspname, 'name', p.proname),
           'arguments', (SELECT coalesce(jsonb_agg(coalesce(p.proargnames[k], '') ORDER BY k), '[]')
                           FROM generate_series(1, coalesce(array_length(p.proallargtypes, 1), p.pronargs)) k
                          WHERE coalesce(p.proargmodes[k], 'i') IN ('i', 'b', 'v')),
           'argument_types', (SELECT coalesce(jsonb_agg(format_type(coalesce(p.proallargtypes[k], p.proargtypes[k - 1]), NULL) ORDER BY k), '[]')
                           FROM generate_series(1, coalesce(array_length(p.proallargtypes, 1), p.pronargs)) k
                          WHERE coalesce(p.proargmodes[k], 'i') IN ('i', 'b', 'v')),
           'returns', format_type(p.prorettype, NULL),
           'returns_set', p.proretset,
           'language', l.lanname,
           'volatility', p.provolatile,
           'definer', p.prosecdef,
           'search_path', (SELECT substr(s, length('search_path=') + 1)
                             FROM unnest(p.proconfig) s WHERE s LIKE 'search\_path=%' LIMIT 1),
           'owner', pg_get_userbyid(p.proowner),
           'body', CASE WHEN l.lanname NOT IN ('c', 'internal')
                        THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END,
           'granted_to', (SELECT coalesce(jsonb_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END), '[]')
                            FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                           WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner))::text
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE p.prokind IN ('f', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY n.nspname, p.proname, p.oid
