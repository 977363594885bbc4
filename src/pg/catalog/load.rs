//! Reads the catalog of a database.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;

use super::privileges;
use crate::model::catalog::{
    Activity, Catalog, Column, ForeignKey, Origin, PartIndex, Policy, Storage, Table, TableKind,
    UserFunction,
};
use crate::model::index::{AccessMethod, Index, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;
use crate::pg::session::guard::consent::system_identifier;
use crate::sql::lex::identifier::unquote;
use crate::sql::rewrite::visible::visible;

/// Whether a btree keeps equal values of the type `t` once, as SQL.
pub const DEDUPLICATES: &str = include_str!("queries/deduplicates.sql");

/// Loads tables, columns, indexes, keys, policies and statistics, written as `caller` would write them: without the
/// schemas that it searches.
///
/// # Errors
/// The server's error. Statistics that the role may not see are absent and no error.
pub fn load(connection: &Connection, caller: &Caller) -> Result<Catalog, PgError> {
    let search_path = searched(connection, caller)?;
    // A few large queries of the catalog are quicker than their compilation.
    let loaded = connection.rolled_back(|| {
        connection.batch("SET LOCAL jit = off")?;
        load_as_it_is(connection, search_path)
    });
    let mut catalog = loaded?;
    as_seen(&mut catalog);
    catalog.system_identifier = system_identifier(connection);
    Ok(catalog)
}

/// The schemas that exist and are searched for names, the system's left out.
fn searched(connection: &Connection, caller: &Caller) -> Result<Vec<String>, PgError> {
    let sql = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]";
    let schemas: Vec<String> = connection
        .as_workload(caller, |workload| workload.row(sql, &[]))?
        .try_get(0)
        .unwrap_or_default();
    Ok(schemas.into_iter().filter(|schema| schema != "pg_catalog").collect())
}

/// Takes the schemas that are searched out of everything that the server has written.
fn as_seen(catalog: &mut Catalog) {
    let Catalog { tables, functions, search_path, .. } = catalog;
    let seen = |sql: &mut String| *sql = visible(sql, search_path);
    for table in tables {
        table.definition.iter_mut().for_each(seen);
        table.columns.iter_mut().for_each(|column| seen(&mut column.type_name));
        let parts = table.part_indexes.iter_mut().map(|part| &mut part.index);
        table.indexes.iter_mut().chain(parts).for_each(|index| index_as_seen(index, search_path));
        for policy in &mut table.policies {
            policy.using.iter_mut().chain(&mut policy.check).for_each(seen);
        }
    }
    functions.iter_mut().for_each(|function| seen(&mut function.returns));
}

fn index_as_seen(index: &mut Index, searched: &[String]) {
    let keys = index.def.keys.iter_mut().filter(|key| !key.is_column);
    let expressions = keys.map(|key| &mut key.expression);
    expressions.chain(&mut index.def.predicate).for_each(|sql| *sql = visible(sql, searched));
}

fn load_as_it_is(connection: &Connection, search_path: Vec<String>) -> Result<Catalog, PgError> {
    let database = connection.row(include_str!("queries/database.sql"), &[])?;
    let mut tables = Vec::new();
    let mut places = HashMap::new();
    for row in connection.query(include_str!("queries/tables.sql"), &[])? {
        places.insert(row.get::<_, u32>(0), tables.len());
        tables.push(table(&row));
    }
    let mut each = |sql: &str, take: fn(&mut Table, &Row)| -> Result<(), PgError> {
        for row in connection.query(sql, &[])? {
            if let Some(at) = places.get(&row.get::<_, u32>(0)) {
                take(&mut tables[*at], &row);
            }
        }
        Ok(())
    };
    let columns = include_str!("queries/columns.sql")
        .replace("{deduplicates}", DEDUPLICATES)
        .replace("{leakproof}", include_str!("queries/leakproof.sql"));
    each(&columns, |table, row| table.columns.push(column(row)))?;
    each(include_str!("queries/indexes.sql"), |table, row| match row.get(22) {
        true => table.part_indexes.push(part_index(row)),
        false => table.indexes.push(index(row)),
    })?;
    each(include_str!("queries/foreign_keys.sql"), |table, row| {
        table.foreign_keys.push(foreign_key(row));
    })?;
    each(include_str!("queries/policies.sql"), |table, row| table.policies.push(policy(row)))?;
    let functions = connection.query(include_str!("queries/functions.sql"), &[])?;
    let functions = functions.iter().map(function).collect();
    Ok(Catalog {
        origin: Origin::Live,
        database: Some(database.get(0)),
        server_version: Some(database.get::<_, String>(1)),
        hidden_classes: classes_outside(connection, &search_path)?,
        search_path,
        tables,
        extensions: database.get(2),
        functions,
        statistics_days: database.get(3),
        system_identifier: None,
        replicas: u32::try_from(database.get::<_, i64>(4)).unwrap_or(0),
        privileges: privileges::load(connection)?,
    })
}

/// Operator classes that `caller` does not find by their name alone, with their schema.
///
/// # Errors
/// The server's error.
pub fn hidden_classes(
    connection: &Connection,
    caller: &Caller,
) -> Result<BTreeMap<String, String>, PgError> {
    classes_outside(connection, &searched(connection, caller)?)
}

fn classes_outside(
    connection: &Connection,
    searched: &[String],
) -> Result<BTreeMap<String, String>, PgError> {
    let sql = "SELECT o.opcname::text, min(n.nspname::text) \
               FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace \
               GROUP BY o.opcname HAVING NOT bool_or(n.nspname = 'pg_catalog' OR n.nspname = ANY ($1))";
    let rows = connection.query(sql, &[&searched])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The indexes of one table as they are at present, as `caller` would write them; none where there is no such table.
///
/// # Errors
/// The server's error.
pub fn indexes(
    connection: &Connection,
    caller: &Caller,
    table: &TableName,
) -> Result<Vec<Index>, PgError> {
    let searched = searched(connection, caller)?;
    let rows = connection.query(include_str!("queries/indexes.sql"), &[])?;
    let own = rows.iter().filter(|row| relation(row) == *table);
    let mut own: Vec<Index> = own.map(index).collect();
    own.iter_mut().for_each(|index| index_as_seen(index, &searched));
    Ok(own)
}

/// Indexes of all partitions as they are at present, as `caller` would write them.
///
/// # Errors
/// The server's error.
pub fn part_indexes(connection: &Connection, caller: &Caller) -> Result<Vec<PartIndex>, PgError> {
    let searched = searched(connection, caller)?;
    let rows = connection.query(include_str!("queries/indexes.sql"), &[])?;
    let parts = rows.iter().filter(|row| row.get(22)).map(part_index);
    let mut parts: Vec<PartIndex> = parts.collect();
    parts.iter_mut().for_each(|part| index_as_seen(&mut part.index, &searched));
    Ok(parts)
}

/// The table of an index.
fn relation(row: &Row) -> TableName {
    TableName::new(row.get::<_, String>(23), row.get::<_, String>(24))
}

fn function(row: &Row) -> UserFunction {
    UserFunction {
        schema: row.get(0),
        name: row.get(1),
        least_arguments: row.get::<_, i32>(2) as usize,
        most_arguments: row.get::<_, i32>(3) as usize,
        returns: row.get(4),
        immutable: row.get(5),
    }
}

fn table(row: &Row) -> Table {
    let rows: f64 = row.get(4);
    let never_analyzed = row.get::<_, Option<bool>>(7).unwrap_or(false);
    Table {
        name: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
        kind: match row.get::<_, &str>(3) {
            "p" => TableKind::Partitioned,
            "v" => TableKind::View,
            "m" => TableKind::MaterializedView,
            "f" => TableKind::Foreign,
            _ => TableKind::Table,
        },
        owner: row.get(18),
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        policies: Vec::new(),
        row_security: row.get(8),
        bound: row.get(16),
        // -1 (0 before 14) says that the table was never counted.
        rows: (rows > 0.0 || (rows == 0.0 && !never_analyzed)).then_some(rows),
        size_bytes: row.get::<_, Option<i64>>(5).and_then(|size| u64::try_from(size).ok()),
        activity: activity(row),
        never_analyzed,
        granted_to: row.get(9),
        definition: row.get(10),
        inherited: row.get(13),
        partitions: partitions(row),
        part_indexes: Vec::new(),
        set_by_triggers: row.get(17),
    }
}

fn partitions(row: &Row) -> Vec<TableName> {
    // Absent where a partitioned table has none yet.
    let texts = |at: usize| row.get::<_, Option<Vec<String>>>(at).unwrap_or_default();
    texts(14).into_iter().zip(texts(15)).map(|(schema, name)| TableName { schema, name }).collect()
}

fn activity(row: &Row) -> Option<Activity> {
    let count = |at: usize| u64::try_from(row.get::<_, Option<i64>>(at)?).ok();
    Some(Activity { inserted: count(6)?, updated: count(11)?, hot_updated: count(12)? })
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get(1),
        type_name: row.get(2),
        not_null: row.get(3),
        distinct: row.get(4),
        once: None,
        null_fraction: row.get(5),
        width_bytes: row.get::<_, Option<i32>>(6).and_then(|width| u32::try_from(width).ok()),
        frequencies: row.get::<_, Option<Vec<f32>>>(7).unwrap_or_default(),
        correlation: row.get(8),
        storage: Some(Storage {
            length_bytes: u16::try_from(row.get::<_, i16>(9)).ok(),
            varying_bytes: row
                .get::<_, Option<f64>>(13)
                .zip(row.get::<_, Option<f64>>(14))
                .map(|(mean, deviation)| (mean as f32, deviation as f32)),
            longest_bytes: row.get::<_, Option<f64>>(15).map(|bytes| bytes as u32),
            alignment_bytes: alignment_bytes(row.get(10)),
            deduplicates: row.get(11),
            bytewise: row.get(12),
            leakproof: row.get(16),
        }),
    }
}

/// Returns the alignment, bytes, that a letter of `pg_type.typalign` stands for.
pub fn alignment_bytes(letter: &str) -> u8 {
    match letter {
        "d" => 8,
        "i" => 4,
        "s" => 2,
        _ => 1,
    }
}

fn part_index(row: &Row) -> PartIndex {
    let above: Option<Vec<String>> = row.get(26);
    PartIndex {
        table: relation(row),
        partitioned: row.get(25),
        above: above.as_deref().and_then(|above| match above {
            [schema, name] => Some(TableName::new(schema, name)),
            _ => None,
        }),
        index: index(row),
    }
}

fn index(row: &Row) -> Index {
    let expressions: Vec<String> = row.get(4);
    let plain: Vec<bool> = row.get(5);
    let options: Vec<i32> = row.get(6);
    let classes: Vec<Option<String>> = row.get(7);
    let collations: Vec<Option<String>> = row.get(19);
    let keys = expressions
        .into_iter()
        .enumerate()
        .map(|(at, expression)| {
            let is_column = plain.get(at).copied().unwrap_or(false);
            let option = options.get(at).copied().unwrap_or(0);
            IndexKey {
                expression: if is_column { unquote(&expression) } else { expression },
                is_column,
                descending: option & 1 != 0,
                nulls_first: option & 2 != 0,
                operator_class: classes.get(at).cloned().flatten(),
                collation: collations.get(at).cloned().flatten(),
            }
        })
        .collect();
    let include: Vec<String> = row.get(8);
    Index {
        schema: row.get(1),
        name: row.get(2),
        def: IndexDef {
            table: relation(row),
            method: AccessMethod::from(row.get::<_, String>(3)),
            keys,
            include: include.iter().map(|name| unquote(name)).collect(),
            predicate: row.get(9),
        },
        unique: row.get(10),
        primary: row.get(11),
        constraint: row.get(12),
        valid: row.get(13),
        size_bytes: u64::try_from(row.get::<_, i64>(14)).ok(),
        scans: row.get::<_, Option<i64>>(15).and_then(|scans| u64::try_from(scans).ok()),
        definition: row.get(16),
        building: row.get(17),
        restore: row.get(18),
        options: row.get(20),
        clustered: row.get(21),
    }
}

fn foreign_key(row: &Row) -> ForeignKey {
    ForeignKey {
        name: row.get(1),
        columns: row.get(2),
        references: TableName::new(row.get::<_, String>(3), row.get::<_, String>(4)),
        referenced_columns: row.get(5),
    }
}

fn policy(row: &Row) -> Policy {
    Policy {
        name: row.get(1),
        command: row.get(2),
        permissive: row.get(3),
        roles: row.get(4),
        using: row.get(5),
        check: row.get(6),
        compared: Vec::new(),
    }
}
