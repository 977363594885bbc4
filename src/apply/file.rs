//! A migration and its files, whosever they are.

use jiff::civil::DateTime;

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the directory of the migrations.
    pub path: String,
    pub text: String,
}

/// A migration that is in the directory already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// The name of the file, or of the directory that holds it.
    pub name: String,
    /// Its text where it is one file.
    pub text: String,
}

/// The target of the files.
#[derive(Debug, Clone)]
pub struct MigrationPlace<'p> {
    /// Name of the directory above that of the migrations: Django's application.
    pub application: &'p str,
    pub existing: &'p [Existing],
    /// In UTC; the first file is numbered with it.
    pub now: DateTime,
}

/// One migration before it is a file.
#[derive(Debug, Clone)]
pub(super) struct Migration {
    /// Its effect as part of a file name: `add_index_listings_seller_id`.
    pub slug: String,
    /// Why, a line each.
    pub notes: Vec<String>,
    pub up: Vec<String>,
    pub down: Vec<String>,
    /// No statement of it runs in a transaction.
    pub is_concurrent: bool,
}

/// Lines as comments: none of them can end early.
pub fn comment(mark: &str, lines: &[String]) -> String {
    let line = |text: &String| format!("{mark} {}\n", text.replace(['\n', '\r'], " "));
    lines.iter().map(line).collect()
}

/// Statements as a script.
pub(super) fn script(statements: &[String]) -> String {
    statements.iter().map(|sql| format!("{};\n", sql.trim_end_matches([';', '\n', ' ']))).collect()
}

/// A note for the case that a build fails half-way.
pub(super) fn on_failure(migration: &Migration) -> Vec<String> {
    match migration.is_concurrent && migration.slug.starts_with("add_index") {
        true => migration
            .down
            .iter()
            .map(|undo| {
                format!("A build that fails leaves an index that is not valid; before the next attempt: {undo};")
            })
            .collect(),
        false => Vec::new(),
    }
}
