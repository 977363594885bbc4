-- Settings that roles have of their own in this database and that change plans or memory; those of the
-- database for the role stand before those of the role everywhere.
SELECT r.rolname::text, split_part(own.setting, '=', 1), substr(own.setting, strpos(own.setting, '=') + 1)
  FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
 CROSS JOIN pg_catalog.unnest(s.setconfig) own(setting)
  JOIN pg_catalog.pg_settings known ON known.name = split_part(own.setting, '=', 1)
 WHERE r.rolname = ANY ($1)
   AND (known.category LIKE 'Query Tuning%' OR known.name IN ('work_mem', 'hash_mem_multiplier', 'temp_buffers'))
   AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
                              WHERE datname = pg_catalog.current_database()))
   AND pg_catalog.current_setting(known.name) IS DISTINCT FROM substr(own.setting, strpos(own.setting, '=') + 1)
 ORDER BY r.rolname, s.setdatabase DESC, 2
