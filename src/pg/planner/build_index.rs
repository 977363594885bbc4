//! Builds an index in a transaction that is rolled back.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::index::ddl::{BuildMode, create, with_schemas};
use crate::model::index::IndexDef;
use crate::pg::catalog::load::hidden_classes;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};

/// The result of a build.
pub struct BuiltIndex {
    pub build_ms: f64,
    /// With those of its partitions.
    pub size_bytes: u64,
    /// Its names in plans: partitions have names of their own.
    pub names: Vec<String>,
}

/// Builds an index in the open transaction, and with it the extension that it needs. `path` is where its names are
/// looked up. Locks the table against
/// writes.
///
/// # Errors
/// The server's error, or that this transaction cannot use what it built.
pub fn build(
    connection: &Connection,
    path: &Caller,
    def: &IndexDef,
    name: &str,
) -> Result<BuiltIndex, PgError> {
    let started = Instant::now();
    if needs_trigrams(def) {
        connection.batch("CREATE EXTENSION IF NOT EXISTS pg_trgm")?;
    }
    let has_class = def.keys.iter().any(|key| key.operator_class.is_some());
    let hidden = if has_class { hidden_classes(connection, path)? } else { BTreeMap::new() };
    let sql = create(&with_schemas(def, &hidden), name, BuildMode::Plain);
    // What the index is on is written as the workload writes it.
    connection.as_workload(path, |workload| workload.batch(&sql))?;
    let build_ms = started.elapsed().as_secs_f64() * 1e3;
    let row = connection.row(include_str!("queries/built.sql"), &[&def.table.schema, &name])?;
    if row.get::<_, bool>(1) {
        let holder =
            row.get::<_, Option<String>>(2).map(|who| format!(" in {who}")).unwrap_or_default();
        let cause =
            format!("rows of {} were changed while an older snapshot is open{holder}", def.table);
        let what = "cannot use the index in the transaction that built it";
        return Err(PgError::new(PgErrorKind::Statement, what, cause)
            .with_help("end that session and try again"));
    }
    let size_bytes = row.get::<_, Option<i64>>(0).and_then(|bytes| u64::try_from(bytes).ok());
    Ok(BuiltIndex { build_ms, size_bytes: size_bytes.unwrap_or(0), names: row.get(3) })
}

/// The index is made of trigrams, which an extension brings.
fn needs_trigrams(index: &IndexDef) -> bool {
    index
        .keys
        .iter()
        .any(|key| key.operator_class.as_deref().is_some_and(|class| class.contains("trgm")))
}
