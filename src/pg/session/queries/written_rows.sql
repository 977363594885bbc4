-- Rows that this transaction has inserted, updated, updated without touching an index (HOT) and deleted in a
-- table and its partitions so far, what was rolled back to a savepoint included. $1: the table, quoted.
SELECT sum(pg_stat_get_xact_tuples_inserted(relid))::bigint,
       sum(pg_stat_get_xact_tuples_updated(relid))::bigint,
       sum(pg_stat_get_xact_tuples_hot_updated(relid))::bigint,
       sum(pg_stat_get_xact_tuples_deleted(relid))::bigint
  FROM (SELECT $1::text::regclass::oid UNION SELECT relid FROM pg_partition_tree($1::text::regclass)) t(relid)
