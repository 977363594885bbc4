//! The database of a statement, as far as the source names it, and which databases are taken.
//!
//! The log of a server tells of all its databases. A statement of another database says nothing about
//! the tables of this one, even where they have the same names; but the log of one database is also
//! read against another that was copied from it, under another name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Hash of a database's name, so that it is the same wherever it was read.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Database(u32);

impl Database {
    /// The source does not say.
    pub const UNKNOWN: Database = Database(0);

    /// Key that distinguishes the same text in two databases.
    pub fn key(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// An empty name is unknown, and so is what the server writes before it knows.
    pub fn named(name: &[u8]) -> Database {
        match name {
            b"" | b"[unknown]" => Database::UNKNOWN,
            name => Database(xxh3_64(name) as u32 | 1),
        }
    }
}

/// How an export without names is told apart: by the server's numbers.
const NUMBER: &str = "dbid ";

/// The name under which the database of such an export stands.
pub fn numbered(dbid: &str) -> String {
    format!("{NUMBER}{dbid}")
}

/// The names that were read.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Database, String>);

impl Names {
    /// Notes a name.
    pub fn add(&mut self, name: &[u8]) -> Database {
        let database = Database::named(name);
        if database != Database::UNKNOWN && !self.0.contains_key(&database) {
            self.0.insert(database, String::from_utf8_lossy(name).into_owned());
        }
        database
    }

    pub fn merge(&mut self, other: Names) {
        for (database, name) in other.0 {
            self.0.entry(database).or_insert(name);
        }
    }

    pub fn forget(&mut self, database: Database) {
        self.0.remove(&database);
    }

    /// In an order that depends on nothing but the names.
    pub fn sorted(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.values().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    pub fn of(&self, database: Database) -> Option<&str> {
        self.0.get(&database).map(String::as_str)
    }
}

/// Whose statements a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseFilter<'a> {
    /// Records of this database only: the user named it.
    Only(&'a str),
    /// Records of this database where the source names one: advice is for this database.
    For(&'a str),
    /// Nothing is known of the database.
    Any,
}

/// Executions and their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub executions: u64,
    pub total_us: u64,
}

impl Share {
    pub fn add(&mut self, executions: u64, total_us: u64) {
        self.executions = self.executions.saturating_add(executions);
        self.total_us = self.total_us.saturating_add(total_us);
    }

    /// Percent of all: of the time, or of the executions where none came with its time.
    fn pct_of(self, all: Share) -> f64 {
        let (part, whole) = match all.total_us {
            0 => (self.executions, all.executions),
            _ => (self.total_us, all.total_us),
        };
        100.0 * part as f64 / whole.max(1) as f64
    }
}

/// The databases that are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseChoice {
    /// Databases whose statements are not.
    pub left_out: Vec<String>,
    /// A warning for the reader.
    pub warning: Option<String>,
}

/// Databases that a warning names.
const NAMED: usize = 3;
/// Share from which on it is said what became of other databases, percent.
const NOTICEABLE_PCT: f64 = 1.0;

/// Chooses among the databases that the sources name; `all` is what was executed on them and on those
/// without a name.
///
/// # Errors
/// A sentence where a database was asked for that no source names.
pub fn choose(
    read: &BTreeMap<&str, Share>,
    all: Share,
    wanted: DatabaseFilter<'_>,
) -> Result<DatabaseChoice, String> {
    let names: Vec<&str> = read.keys().copied().collect();
    let name = match wanted {
        DatabaseFilter::Any => return Ok(together(read, all, None)),
        DatabaseFilter::For(name) if !read.contains_key(name) => {
            return Ok(together(read, all, Some(name)));
        }
        DatabaseFilter::Only(name) if !read.contains_key(name) => {
            return Err(match names.is_empty() {
                true => "no source says which database a statement ran on".to_owned(),
                false => format!("the databases that were read: {}", told(read, &names, all)),
            });
        }
        DatabaseFilter::For(name) | DatabaseFilter::Only(name) => name,
    };
    let is_asked = wanted == DatabaseFilter::Only(name);
    // A number of one server means nothing on another, so it does not speak against a name.
    let others: Vec<&str> = names
        .into_iter()
        .filter(|other| *other != name && (is_asked || !is_numbered(other)))
        .collect();
    let mut left_out = Share::default();
    for other in &others {
        left_out.add(read[other].executions, read[other].total_us);
    }
    let is_noticeable = !is_asked && left_out.pct_of(all) >= NOTICEABLE_PCT;
    let warning = is_noticeable.then(|| {
        format!(
            "{:.1} % {} is left out: it ran on other databases than {name} ({})",
            left_out.pct_of(all),
            unit(all),
            told(read, &others, all)
        )
    });
    Ok(DatabaseChoice { left_out: others.into_iter().map(str::to_owned).collect(), warning })
}

/// All are taken, and it is said where that may be wrong.
fn together(read: &BTreeMap<&str, Share>, all: Share, wanted: Option<&str>) -> DatabaseChoice {
    let names: Vec<&str> = read.keys().copied().collect();
    let largest = read.values().max_by(|a, b| a.pct_of(all).total_cmp(&b.pct_of(all)));
    let sum: f64 = read.values().map(|share| share.pct_of(all)).sum();
    let rest_pct = sum - largest.map_or(0.0, |share| share.pct_of(all));
    let warning = (rest_pct >= NOTICEABLE_PCT).then(|| {
        let none = wanted.map(|name| format!(", none of them {name},")).unwrap_or_default();
        format!(
            "statements of {} databases{none} are analyzed as those of one database ({} {}); --log-database NAME picks one",
            names.len(),
            told(read, &names, all),
            unit(all)
        )
    });
    DatabaseChoice { left_out: Vec::new(), warning }
}

/// The largest of these with their shares.
fn told(read: &BTreeMap<&str, Share>, names: &[&str], all: Share) -> String {
    let mut sorted: Vec<(&str, f64)> =
        names.iter().map(|name| (*name, read[name].pct_of(all))).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut told: Vec<String> =
        sorted.iter().take(NAMED).map(|(name, pct)| format!("{name} {pct:.1} %")).collect();
    if sorted.len() > NAMED {
        told.push(format!("{} more", sorted.len() - NAMED));
    }
    told.join(", ")
}

fn unit(all: Share) -> &'static str {
    if all.total_us == 0 { "of the executions" } else { "of the time" }
}

fn is_numbered(name: &str) -> bool {
    name.starts_with(NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read<'a> = [(&'a str, u64)];

    fn chosen(read: &Read<'_>, wanted: DatabaseFilter<'_>) -> Result<DatabaseChoice, String> {
        let share = |total_us| Share { executions: 1, total_us };
        let whole = read.iter().map(|(_, total_us)| total_us).sum();
        let read = read.iter().map(|(name, total_us)| (*name, share(*total_us))).collect();
        choose(&read, share(whole), wanted)
    }

    fn left_out(read: &Read<'_>, wanted: DatabaseFilter<'_>) -> Vec<String> {
        chosen(read, wanted).unwrap().left_out
    }

    #[test]
    fn other_databases_are_left_out_where_the_wanted_one_is_named() {
        let read = [("shop", 60), ("billing", 40)];
        assert_eq!(left_out(&read, DatabaseFilter::For("shop")), ["billing"]);
        assert!(left_out(&read, DatabaseFilter::For("staging")).is_empty());
        assert!(left_out(&read[..1], DatabaseFilter::For("staging")).is_empty());
        assert_eq!(left_out(&read, DatabaseFilter::Only("billing")), ["shop"]);
        let refused = chosen(&read, DatabaseFilter::Only("staging")).unwrap_err();
        assert_eq!(refused, "the databases that were read: shop 60.0 %, billing 40.0 %");
    }

    #[test]
    fn several_databases_under_other_names_are_said() {
        let warning = |read: &Read<'_>, wanted| chosen(read, wanted).unwrap().warning;
        let read = [("a", 60), ("b", 20), ("c", 15), ("d", 5)];
        let said = warning(&read, DatabaseFilter::For("staging")).unwrap();
        assert!(said.contains("none of them staging"), "{said}");
        assert!(said.contains("(a 60.0 %, b 20.0 %, c 15.0 %, 1 more of the time)"), "{said}");
        assert!(warning(&read, DatabaseFilter::Any).unwrap().contains("4 databases"));
        assert_eq!(warning(&read[..1], DatabaseFilter::For("staging")), None);
        // What a monitor asks of the database `postgres` is not worth a word.
        assert_eq!(warning(&[("shop", 9_990), ("postgres", 1)], DatabaseFilter::Any), None);
        let left_out = warning(&read, DatabaseFilter::For("a")).unwrap();
        assert!(left_out.starts_with("40.0 % of the time is left out"), "{left_out}");
    }

    #[test]
    fn a_number_of_the_server_does_not_speak_against_a_name() {
        let read = [("shop", 60), ("billing", 10), ("dbid 16384", 30)];
        assert_eq!(left_out(&read, DatabaseFilter::For("shop")), ["billing"]);
        assert_eq!(left_out(&read, DatabaseFilter::Only("dbid 16384")), ["billing", "shop"]);
    }
}
