//! An index that could serve statements, with those that ask for it.

use std::collections::{HashMap, HashSet};

use crate::model::index::IndexDef;
use crate::model::name::TableName;

/// An index, and the statements that asked for one like it.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub def: IndexDef,
    /// Positions in the workload.
    pub queries: Vec<usize>,
    /// Of these, the statements that it serves alone, and not together with the other alternatives of an `OR`.
    pub whole: Vec<usize>,
}

impl Candidate {
    /// Creates a candidate for no statement yet.
    pub fn new(def: IndexDef) -> Candidate {
        Candidate { def, queries: Vec::new(), whole: Vec::new() }
    }

    /// Notes that a statement asks for it.
    pub fn ask(&mut self, query: usize, is_whole: bool) {
        if !self.queries.contains(&query) {
            self.queries.push(query);
        }
        if is_whole && !self.whole.contains(&query) {
            self.whole.push(query);
        }
    }
}

/// By the position of a statement, for each of its scans the conditions that a partial index may hold.
pub type Conditions = HashMap<usize, Vec<(TableName, HashSet<String>)>>;

/// The candidates that the statements call for.
pub struct Candidates {
    /// Over the whole workload, in order of appearance.
    pub all: Vec<Candidate>,
    pub conditions: Conditions,
    /// Columns and expressions that are asked for one value, by table.
    pub equal: HashSet<(TableName, String)>,
}
