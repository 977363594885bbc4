//! Generates every index that some statement of the workload could use, each once.

use std::collections::{HashMap, HashSet};

use super::candidate::{Candidate, Candidates, Conditions};
use super::inverted::{all_inverted, does_as_well, inverted_together};
use super::key_length::{fit_together, stays_short};
use super::partial;
use super::scan_needs::{IndexableFilter, ScanContext, ScanNeeds, needs};
use crate::access::pushdown::{compared_by_policies, is_guarded, is_served_through_policies};
use crate::index::ddl::{BuildMode, create};
use crate::model::catalog::{Catalog, Column, Table};
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::model::workload::Workload;
use crate::model::workload::shape::{Key, Operator, Predicate, Scan};
use crate::sql::expression::equivalence::bare;
use crate::sql::lex::lexer::{TokenKind, tokens};

/// Columns that an index may carry beyond its keys, at most, and their bytes: beyond, it becomes a
/// second table.
const MOST_INCLUDED: usize = 6;
const MOST_INCLUDED_BYTES: u32 = 128;
/// A table from this size on, bytes, may be worth an index of block ranges.
const HUGE_TABLE_BYTES: u64 = 1 << 30;
/// Order on disk that an index of block ranges needs.
const ORDERLY: f32 = 0.95;

/// Others that a candidate is united with, at most: their number would grow with the square of the
/// statements.
const MOST_UNITED: usize = 24;

/// Candidates over the whole workload.
pub fn candidates(workload: &Workload, catalog: &Catalog) -> Candidates {
    let mut found = FoundCandidates::default();
    let mut asked = Conditions::new();
    let mut equal = HashSet::new();
    let mut spellings = Spellings::default();
    for (at, query) in workload.queries.iter().enumerate() {
        let shape = query.shape.as_ref();
        let Some(shape) = shape.filter(|shape| !shape.scans.is_empty()) else { continue };
        let mut conditions = partial::conditions(query, shape, catalog);
        let scans = shape.with_alternatives();
        for (number, (scan, conditions)) in scans.into_iter().zip(&mut conditions).enumerate() {
            let Some(table) = catalog.table(&scan.table).filter(|table| is_worth_it(table)) else {
                continue;
            };
            conditions.iter_mut().flatten().for_each(|own| spellings.unite(&table.name, own));
            let own: HashSet<String> = conditions.iter().flatten().cloned().collect();
            if !own.is_empty() {
                asked.entry(at).or_default().push((table.name.clone(), own));
            }
            let spelled = partial::same_scan(query, number);
            let functions = &catalog.functions;
            let asked = ScanContext { query, table, scan, functions, spelled: &spelled };
            let is_whole = number < shape.scans.len();
            let needs = needs(asked, conditions);
            let for_one =
                needs.equal.iter().chain(&needs.lists).chain(needs.joins.iter().flatten());
            equal.extend(for_one.map(|own| (table.name.clone(), own.key.expression.clone())));
            for def in of_scan(asked, &needs, conditions) {
                found.add(def, at, is_whole);
            }
        }
        for def in inverted_together(query, shape, catalog) {
            found.add(def, at, true);
        }
    }
    found.share_inverted();
    found.unite();
    let of_table = |table: &'_ Table| (table.name.clone(), compared_by_policies(table));
    let compared: HashMap<TableName, Vec<String>> = catalog.tables.iter().map(of_table).collect();
    found.candidates.retain(|candidate| {
        let def = &candidate.def;
        let Some(table) = catalog.table(&def.table) else { return false };
        let mut asking = candidate.queries.iter().map(|at| &workload.queries[*at]);
        let by_policies = &compared[&table.name][..];
        let is_served = asking.all(|query| is_guarded(query, table))
            && is_served_through_policies(table, def, by_policies);
        !is_there(table, def) && !is_served
    });
    Candidates { all: found.candidates, conditions: asked, equal }
}

/// The conditions on each table met so far, by what they say, as each was written first: a view has the server's
/// words.
#[derive(Default)]
struct Spellings<'a>(HashMap<(&'a TableName, Vec<String>), String>);

impl<'a> Spellings<'a> {
    /// Has a condition as it was written first.
    fn unite(&mut self, table: &'a TableName, condition: &mut String) {
        let first = self.0.entry((table, bare(condition))).or_insert_with(|| condition.clone());
        condition.clone_from(first);
    }
}

#[derive(Default)]
struct FoundCandidates {
    candidates: Vec<Candidate>,
    places: HashMap<String, usize>,
}

impl FoundCandidates {
    fn add(&mut self, def: IndexDef, query: usize, is_whole: bool) {
        let keys = def.keys.iter().map(spelled_alike).collect();
        let name = create(&IndexDef { keys, ..def.clone() }, "", BuildMode::Plain);
        let at = *self.places.entry(name).or_insert_with(|| {
            self.candidates.push(Candidate::new(def));
            self.candidates.len() - 1
        });
        self.candidates[at].ask(query, is_whole);
    }

    /// Adds, for each two candidates of the same keys that carry other columns, one that carries those of
    /// both: what neither statement asked for alone may serve both for the space of one.
    fn unite(&mut self) {
        let carrying: Vec<Candidate> =
            self.candidates.iter().filter(|c| !c.def.include.is_empty()).cloned().collect();
        for (at, first) in carrying.iter().enumerate() {
            let mut all = first.def.clone();
            let mut queries = first.queries.clone();
            let same = carrying[at + 1..].iter().filter(|second| has_same_keys(first, second));
            for second in same.take(MOST_UNITED) {
                let both = united(&first.def, &second.def);
                all = united(&all, &second.def);
                queries.extend(&second.queries);
                for query in first.queries.iter().chain(&second.queries) {
                    self.add_if_small(&both, *query);
                }
            }
            queries.iter().for_each(|query| self.add_if_small(&all, *query));
        }
    }

    /// An inverted index on several columns serves whoever asks for one of them, and one of whole documents whoever asks
    /// for paths.
    fn share_inverted(&mut self) {
        for at in 0..self.candidates.len() {
            let wide = self.candidates[at].def.clone();
            if wide.method != AccessMethod::Gin {
                continue;
            }
            let is_part = |narrow: &&Candidate| {
                narrow.def.table == wide.table
                    && narrow.def.method == wide.method
                    && narrow.def.keys != wide.keys
                    && narrow
                        .def
                        .keys
                        .iter()
                        .all(|key| wide.keys.iter().any(|own| does_as_well(own, key)))
            };
            let parts: Vec<Candidate> = self.candidates.iter().filter(is_part).cloned().collect();
            for part in parts {
                for query in part.queries {
                    self.add(wide.clone(), query, part.whole.contains(&query));
                }
            }
        }
    }

    fn add_if_small(&mut self, def: &IndexDef, query: usize) {
        if def.include.len() <= MOST_INCLUDED {
            self.add(def.clone(), query, true);
        }
    }
}

/// The key in one spelling: of calls within calls of one column, `lower(name)` and `lower(name::text)`, but of none
/// that takes its type from its argument.
fn spelled_alike(key: &IndexKey) -> IndexKey {
    const BY_ARGUMENT: [&str; 3] = ["coalesce", "greatest", "least"];
    let is_chain = !key.is_column
        && tokens(&key.expression).all(|token| {
            let is_word = token.kind == TokenKind::Word
                && !BY_ARGUMENT.iter().any(|name| token.is_word(name));
            is_word || ["(", ")", "::"].iter().any(|sign| token.is(sign))
        });
    match is_chain {
        true => IndexKey { expression: bare(&key.expression).join(" "), ..key.clone() },
        false => key.clone(),
    }
}

fn has_same_keys(a: &Candidate, b: &Candidate) -> bool {
    a.def.table == b.def.table && a.def.keys == b.def.keys && a.def.predicate == b.def.predicate
}

fn united(a: &IndexDef, b: &IndexDef) -> IndexDef {
    let mut include = a.include.clone();
    include.extend(b.include.iter().filter(|column| !a.include.contains(column)).cloned());
    include.sort();
    IndexDef { include, ..a.clone() }
}

fn is_worth_it(table: &Table) -> bool {
    table.is_indexable() && !table.is_small()
}

/// The table has an index that does all that one of this plan would.
pub fn is_there(table: &Table, def: &IndexDef) -> bool {
    table.indexes.iter().any(|index| index.valid && index.def.covers(def))
}

/// Every index that could serve one scan.
fn of_scan(
    asked: ScanContext<'_>,
    needs: &ScanNeeds,
    conditions: &[Option<String>],
) -> Vec<IndexDef> {
    let ScanContext { table, scan, .. } = asked;
    let mut plans = Vec::new();
    for partial in partials(needs) {
        // The scan on its own, and looked up by the rows of each other scan that it is joined to.
        for join in std::iter::once(&[][..]).chain(needs.joins.iter().map(Vec::as_slice)) {
            let tails = tails(needs, !join.is_empty(), &partial);
            for (number, tail) in tails.into_iter().enumerate() {
                let before = tail.before(needs, join, &partial);
                let there = in_index_order(table, &before);
                for equal in std::iter::once(before).chain(there) {
                    let keys = unique_among(table, &equal)
                        .unwrap_or_else(|| joined(&equal, tail.keys.clone()));
                    if keys.is_empty() {
                        continue;
                    }
                    let bare = IndexDef {
                        predicate: partial.predicate(),
                        ..IndexDef::on(&table.name, AccessMethod::Btree, keys)
                    };
                    // The first tail is the one that does most; the others are for less space.
                    if number == 0 {
                        plans.extend(covering(table, scan, conditions, &partial, &bare));
                    }
                    plans.push(bare);
                }
            }
        }
    }
    plans.extend(
        short(needs, scan)
            .into_iter()
            .map(|keys| IndexDef::on(&table.name, AccessMethod::Btree, keys)),
    );
    plans.extend(all_inverted(asked));
    let open = scan.filters.iter().filter(|filter| asked.is_open(filter));
    plans.extend(open.filter_map(|filter| block_ranges(table, filter)));
    plans
}

/// One key for a part of what the scan asks: its most selective equality, one range, or its order alone.
/// They do less for it than the others, and the same for many statements that ask for the rest otherwise.
fn short(needs: &ScanNeeds, scan: &Scan) -> Vec<Vec<IndexKey>> {
    let first = needs.equal.first().into_iter().chain(&needs.ranges);
    let mut short: Vec<Vec<IndexKey>> = first.map(|wanted| vec![wanted.key.clone()]).collect();
    if scan.limited || scan.extreme.is_some() {
        short.extend((!needs.sort.is_empty()).then(|| needs.sort.clone()));
    }
    short
}

/// The index that serves one scan best as far as can be told without a planner, and those for what a
/// btree cannot find. `join` is set when the scan is looked up by the rows of another.
pub fn simplest(asked: ScanContext<'_>, join: Option<&str>) -> Vec<IndexDef> {
    let ScanContext { table, scan, .. } = asked;
    let needs = needs(asked, &vec![None; scan.filters.len()]);
    let is_by = |columns: &&Vec<IndexableFilter>| {
        join.is_some_and(|name| columns.iter().any(|wanted| wanted.key.expression == name))
    };
    // Of the columns that join the same scan, all.
    let most = needs.joins.iter().filter(is_by).max_by_key(|columns| columns.len());
    let join = most.map_or(&[][..], Vec::as_slice);
    let partial = Partial::default();
    // An order that no LIMIT cuts off is cheaper to make than to keep.
    let is_ordered = join.is_empty() && (scan.limited || scan.extreme.is_some());
    let tail = tails(&needs, !is_ordered, &partial).into_iter().next().unwrap_or_default();
    let before = tail.before(&needs, join, &partial);
    let keys = joined(&in_index_order(table, &before).unwrap_or(before), tail.keys);
    // Most rows have no date of deletion: nothing tells that the few were meant.
    let is_null = |key: &IndexKey| needs.equal.iter().any(|own| own.is_null && own.key == *key);
    let btree =
        (!keys.iter().all(is_null)).then(|| IndexDef::on(&table.name, AccessMethod::Btree, keys));
    btree.into_iter().chain(all_inverted(asked)).collect()
}

/// Between the conditions of a partial index.
const AND: &str = " AND ";

/// One who asks for these conditions asks only for rows that a partial index of `predicate` holds.
pub fn holds_rows(predicate: &str, conditions: &HashSet<String>) -> bool {
    conditions.contains(predicate)
        || predicate.split(AND).all(|condition| conditions.contains(condition))
}

/// Conditions that move from the keys to the `WHERE` of a partial index.
#[derive(Debug, Clone, Default, PartialEq)]
struct Partial {
    conditions: Vec<String>,
}

impl Partial {
    fn holds(&self, wanted: &IndexableFilter) -> bool {
        wanted.condition.as_ref().is_some_and(|condition| self.conditions.contains(condition))
    }

    fn predicate(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(AND))
    }
}

/// No condition, all that there are, and each alone.
fn partials(needs: &ScanNeeds) -> Vec<Partial> {
    let all: Vec<String> = needs
        .equal
        .iter()
        .chain(&needs.lists)
        .chain(&needs.ranges)
        .filter_map(|wanted| wanted.condition.clone())
        .chain(needs.only_conditions.iter().cloned())
        .collect();
    let mut partials = vec![Partial::default()];
    if all.len() > 1 {
        partials.push(Partial { conditions: all.clone() });
    }
    partials.extend(all.into_iter().map(|condition| Partial { conditions: vec![condition] }));
    partials
}

/// The key columns after those that are compared with one value.
#[derive(Debug, Clone, Default)]
struct Tail {
    keys: Vec<IndexKey>,
    /// They give the order that is asked for.
    is_order: bool,
}

impl Tail {
    fn of(keys: Vec<IndexKey>) -> Tail {
        Tail { keys, is_order: false }
    }

    /// The keys before it, each compared with one value.
    fn before(
        &self,
        needs: &ScanNeeds,
        join: &[IndexableFilter],
        partial: &Partial,
    ) -> Vec<IndexKey> {
        let is_before =
            |wanted: &&IndexableFilter| !(partial.holds(wanted) || self.is_order && wanted.is_null);
        let own = needs.equal.iter().filter(is_before);
        joined(&[], join.iter().chain(own).map(|wanted| wanted.key.clone()).collect())
    }
}

/// Returns the possible key columns after those that are compared with one value, the most useful first.
fn tails(needs: &ScanNeeds, is_joined: bool, partial: &Partial) -> Vec<Tail> {
    let others = |wanted: &[IndexableFilter]| -> Vec<IndexKey> {
        let left = wanted.iter().filter(|wanted| !partial.holds(wanted));
        left.map(|wanted| wanted.key.clone()).collect()
    };
    let (lists, ranges) = (others(&needs.lists), others(&needs.ranges));
    let mut tails: Vec<Tail> = Vec::new();
    // Words that begin with the same letters are few, and in the order of a dictionary they are not found.
    let is_of_pattern = needs.ranges.iter().any(|range| {
        let first = needs.sort.first();
        range.key.operator_class.is_some()
            && first.is_some_and(|sort| sort.expression == range.key.expression)
    });
    if !is_joined && !needs.sort.is_empty() && !is_of_pattern {
        tails.push(Tail { keys: needs.sort.clone(), is_order: true });
    }
    // A list or a range ends the use of later keys, so there is at most one of either.
    for list in &lists {
        for range in &ranges {
            tails.push(Tail::of(vec![list.clone(), range.clone()]));
        }
        tails.push(Tail::of(vec![list.clone()]));
    }
    tails.extend(ranges.into_iter().map(|range| Tail::of(vec![range])));
    tails.push(Tail::default());
    tails
}

/// The same keys, beginning as an index begins that is there: one that goes on from it takes its place. Keys that are
/// compared with one value find the same rows in any order.
fn in_index_order(table: &Table, equal: &[IndexKey]) -> Option<Vec<IndexKey>> {
    let begins = table.indexes.iter().filter_map(|index| {
        let stays = index.constraint || index.unique || index.def.predicate.is_some();
        let is_own = |key: &&IndexKey| equal.contains(key);
        let first: Vec<IndexKey> = index.def.keys.iter().take_while(is_own).cloned().collect();
        let is_whole = first.len() == index.def.keys.len();
        (index.valid && index.def.method == AccessMethod::Btree && !stays && is_whole)
            .then_some(first)
    });
    let first = begins.max_by_key(Vec::len).filter(|first| !equal.starts_with(first))?;
    Some(joined(&first, equal.to_vec()))
}

/// The keys of a unique index, where all of them are compared with one value: with that row found, further keys find
/// nothing that is less. HypoPG leaves the way down a btree out of its price, which makes them look better than they are.
fn unique_among(table: &Table, equal: &[IndexKey]) -> Option<Vec<IndexKey>> {
    let mut unique = table.indexes.iter().filter(|index| {
        index.unique
            && index.valid
            && index.def.predicate.is_none()
            && index.def.method == AccessMethod::Btree
    });
    let found = unique.find(|index| index.def.keys.iter().all(|key| equal.contains(key)))?;
    Some(found.def.keys.clone())
}

/// Keys one after the other, each expression once.
fn joined(first: &[IndexKey], second: Vec<IndexKey>) -> Vec<IndexKey> {
    let mut keys = first.to_vec();
    for key in second {
        if !keys.iter().any(|known| known.expression == key.expression) {
            keys.push(key);
        }
    }
    keys
}

/// The same index with the other columns that the statement reads, so that it need not look into the
/// table; `None` where they are too many, or rows are too few to matter.
fn covering(
    table: &Table,
    scan: &Scan,
    conditions: &[Option<String>],
    partial: &Partial,
    bare: &IndexDef,
) -> Option<IndexDef> {
    // Of an expression the planner knows no statistics before it is indexed: it expects many rows where
    // there is one, and to save looking into the table for them.
    let is_guess = bare.keys.iter().any(|key| !key.is_column);
    let is_short = scan.limited && !scan.sort.is_empty() || scan.extreme.is_some();
    if scan.target || is_short || is_guess || scan.columns.is_empty() {
        return None;
    }
    let only_in_condition = |column: &str| {
        !scan.outputs.iter().any(|output| output == column)
            && scan.filters.iter().zip(conditions).any(|(filter, condition)| {
                filter.key.column() == Some(column)
                    && condition.as_ref().is_some_and(|own| partial.conditions.contains(own))
            })
    };
    let mut include: Vec<String> = scan
        .columns
        .iter()
        .filter(|column| !bare.keys.iter().any(|key| key.is_column && key.expression == **column))
        .filter(|column| !only_in_condition(column))
        .cloned()
        .collect();
    // In one order, whatever the statement's, so that equal indexes are equal.
    include.sort();
    let width = |column: &String| Some(table.column(column)?.width_bytes.unwrap_or(8));
    let bytes: Option<u32> = include.iter().map(width).sum();
    (!include.is_empty()
        && include.len() <= MOST_INCLUDED
        && include.iter().all(|name| table.column(name).is_some_and(stays_short))
        && fit_together(all_columns(table, bare, &include))
        && bytes.is_some_and(|bytes| bytes <= MOST_INCLUDED_BYTES))
    .then(|| IndexDef { include, ..bare.clone() })
}

/// The columns of an index with what it would carry beside its keys.
fn all_columns<'t>(
    table: &'t Table,
    bare: &'t IndexDef,
    include: &'t [String],
) -> impl Iterator<Item = &'t Column> {
    table.columns.iter().filter(move |column| {
        include.contains(&column.name) || bare.keys.iter().any(|key| key.is_of(&column.name))
    })
}

/// A summary of block ranges: next to nothing in space, where the order of rows follows the column.
fn block_ranges(table: &Table, filter: &Predicate) -> Option<IndexDef> {
    let Key::Column(name) = &filter.key else { return None };
    let column = table.column(name)?;
    let orderly = column.correlation.is_some_and(|correlation| correlation.abs() >= ORDERLY);
    let huge = table.size_bytes.is_some_and(|bytes| bytes >= HUGE_TABLE_BYTES);
    (filter.operator == Operator::Range && orderly && huge)
        .then(|| IndexDef::on(&table.name, AccessMethod::Brin, vec![IndexKey::column(name)]))
}
