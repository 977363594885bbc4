-- Roles of a workload: whether the session may become each, and the search path that each has of its own here. What is
-- said of a role in this database goes before what is said of it everywhere. $1: their names.
SELECT r.rolname::text,
       pg_has_role(r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END),
       (SELECT substr(own.setting, length('search_path=') + 1)
          FROM pg_db_role_setting s
         CROSS JOIN unnest(s.setconfig) own(setting)
         WHERE s.setrole = r.oid
           AND own.setting LIKE 'search\_path=%'
           AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
         ORDER BY s.setdatabase DESC
         LIMIT 1)
  FROM pg_roles r
 WHERE r.rolname = ANY ($1)
