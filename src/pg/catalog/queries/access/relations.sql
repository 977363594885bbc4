-- Tables, views and partitions with their owners and privileges. What belongs to an extension is left out.
SELECT jsonb_build_object(
           'name', jsonb_build_object('schema', n.nspname, 'name', c.relname),
           'owner', pg_get_userbyid(c.relowner),
           'row_security', c.relrowsecurity,
           'forced', c.relforcerowsecurity,
           'part_of', (SELECT jsonb_build_object('schema', pn.nspname, 'name', p.relname)
                         FROM pg_inherits h
                         JOIN pg_class p ON p.oid = h.inhparent
                         JOIN pg_namespace pn ON pn.oid = p.relnamespace
                        WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1),
           'security_invoker', coalesce((SELECT lower(split_part(o, '=', 2)) IN ('true', 'on', '1', 'yes')
                                           FROM unnest(c.reloptions) o WHERE o LIKE 'security\_invoker=%'), false),
           'policies', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', p.polname, 'permissive', p.polpermissive,
                                                                     'using', pg_get_expr(p.polqual, p.polrelid)) ORDER BY p.polname), '[]')
                          FROM pg_policy p WHERE p.polrelid = c.oid AND c.relispartition),
           'query', CASE WHEN c.relkind = 'm' THEN pg_get_viewdef(c.oid) END,
           'grants', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
                                          'role', CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
                                          'privilege', g.privilege_type,
                                          'column', g.attname)), '[]')
                        FROM (SELECT a.grantee, a.privilege_type, NULL::name AS attname FROM aclexplode(c.relacl) a
                              UNION ALL
                              SELECT a.grantee, a.privilege_type, t.attname
                                FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a
                               WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped) g
                       WHERE g.grantee <> c.relowner),
           'defaults', (SELECT coalesce(jsonb_agg(jsonb_build_object('column', t.attname,
                                                                     'expression', pg_get_expr(d.adbin, d.adrelid))), '[]')
                          FROM pg_attrdef d
                          JOIN pg_attribute t ON t.attrelid = d.adrelid AND t.attnum = d.adnum
                         WHERE d.adrelid = c.oid AND t.attgenerated = ''
                           AND pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%'),
           'triggers', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('schema', fn.nspname, 'name', f.proname)), '[]')
                          FROM pg_trigger t
                          JOIN pg_proc f ON f.oid = t.tgfoid
                          JOIN pg_namespace fn ON fn.oid = f.pronamespace
                         WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'))::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname NOT LIKE 'pg\_toast%'
   AND n.nspname NOT LIKE 'pg\_temp%'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
