//! Selects the candidates that can matter to each statement.

use std::collections::HashMap;

use super::what_if::Set;
use crate::advice::candidates::candidate::{Candidate, Conditions};
use crate::advice::candidates::generate::holds_rows;
use crate::advice::input::Input;
use crate::index::ddl::{BuildMode, create};
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::model::workload::shape::{Key, Scan};

/// Part of the rows of a table up to which a partial index holds few.
const FEW_ROWS: f64 = 0.05;

/// A candidate with its size.
pub struct SizedCandidate {
    pub candidate: Candidate,
    /// Rows it would hold.
    pub rows: f64,
    pub size_bytes: f64,
    /// Its size comes from counted rows.
    pub is_counted: bool,
    /// Why no planner could cost it, for all or for some of its statements.
    pub why_not: Option<String>,
}

/// Candidates that can matter to a statement.
pub struct Relevant {
    /// The indexes that the planner is asked about.
    pub tested: Set,
    /// Of these, the ones with the fewest included columns among equal keys.
    pub bare: Set,
    /// Candidates that carry columns for other statements, each with the equivalent one of the same keys.
    pub followers: Vec<(usize, usize)>,
}

impl Relevant {
    pub fn all(&self) -> Set {
        let behind = self.followers.iter().map(|(follower, _)| *follower);
        let mut all: Set = self.tested.iter().copied().chain(behind).collect();
        all.sort_unstable();
        all
    }

    /// Takes out a candidate that cannot matter after all.
    pub fn leave_out(&mut self, candidate: usize) {
        self.tested.retain(|at| *at != candidate);
        self.bare.retain(|at| *at != candidate);
        self.followers.retain(|(follower, leader)| ![follower, leader].contains(&&candidate));
    }
}

/// For each statement, the candidates that its plan could use.
pub fn relevant(
    input: &Input<'_>,
    sized: &[SizedCandidate],
    asked: &Conditions,
) -> HashMap<usize, Relevant> {
    // Among equal keys, the one with the fewest carried columns comes first.
    let keys: Vec<String> = sized.iter().map(|sized| bare(&sized.candidate.def)).collect();
    let mut leaders: HashMap<&str, usize> = HashMap::new();
    for (at, def) in sized.iter().map(|sized| &sized.candidate.def).enumerate() {
        let leader = leaders.entry(&keys[at]).or_insert(at);
        if def.include.len() < sized[*leader].candidate.def.include.len() {
            *leader = at;
        }
    }
    let holds_few: Vec<bool> = sized.iter().map(|sized| holds_few(input, sized)).collect();
    let leader_of: Vec<usize> = keys.iter().map(|keys| leaders[keys.as_str()]).collect();
    let of_table = |name: &TableName| -> Vec<usize> {
        (0..sized.len()).filter(|at| sized[*at].candidate.def.table == *name).collect()
    };
    let mut tables: HashMap<&TableName, Vec<usize>> = HashMap::new();
    let mut relevant = HashMap::new();
    for query in 0..input.workload.queries.len() {
        let shape = input.workload.shape(query);
        let Some(shape) = shape.filter(|shape| !shape.scans.is_empty()) else { continue };
        let mut of = Relevant { tested: Set::new(), bare: Set::new(), followers: Vec::new() };
        let scans = shape.with_alternatives();
        for table in shape.tables() {
            for at in tables.entry(table).or_insert_with(|| of_table(table)).iter().copied() {
                let Candidate { def, queries, .. } = &sized[at].candidate;
                let is_own = queries.contains(&query);
                let is_asked = def.predicate.as_ref().is_none_or(|predicate| {
                    let mut own = asked.get(&query).into_iter().flatten();
                    own.any(|(table, own)| *table == def.table && holds_rows(predicate, own))
                });
                let mut scans = scans.iter().filter(|scan| scan.table == def.table);
                // A few rows are read from one end to the other, whatever the keys.
                let is_fit = || holds_few[at] || scans.clone().any(|scan| leads(def, scan));
                if !(is_own || is_asked && is_fit()) {
                    continue;
                }
                let leader = leader_of[at];
                of.bare.push(leader);
                if is_own || leader == at || scans.any(|scan| covers(def, scan)) {
                    of.tested.push(at);
                } else {
                    of.followers.push((at, leader));
                    of.tested.push(leader);
                }
            }
        }
        for set in [&mut of.tested, &mut of.bare] {
            set.sort_unstable();
            set.dedup();
        }
        if !of.tested.is_empty() {
            relevant.insert(query, of);
        }
    }
    relevant
}

/// It holds few of the rows of its table.
fn holds_few(input: &Input<'_>, sized: &SizedCandidate) -> bool {
    let all = input.catalog.table(&sized.candidate.def.table).and_then(|table| table.rows);
    all.is_some_and(|all| sized.rows < all * FEW_ROWS)
}

/// An index without its carried columns.
fn bare(def: &IndexDef) -> String {
    create(&IndexDef { include: Vec::new(), ..def.clone() }, "", BuildMode::Plain)
}

/// The index holds all that the statement reads of the table.
fn covers(def: &IndexDef, scan: &Scan) -> bool {
    scan.columns.iter().all(|column| def.holds(column))
}

/// The scan filters, joins or sorts by the first key of the index.
fn leads(def: &IndexDef, scan: &Scan) -> bool {
    let Some(first) = def.keys.first() else { return false };
    if !first.is_column || def.method.is_inverted() {
        return false;
    }
    let column = first.expression.as_str();
    scan.filters.iter().any(|filter| filter.key.column() == Some(column))
        || scan.is_joined_by(column)
        || scan.ordered_by().and_then(Key::column) == Some(column)
}
