//! Who may reach which rows, from the rows that the workload reached.

use std::collections::{BTreeMap, BTreeSet};

use super::atoms::{Atom, Sources};
use super::choose::{Evidence, choose};
use super::evidence::{Acted, Executions, Who, executions, names};
use super::who_acts::Acting;
use crate::model::access::acting::{ActsFor, Identity, IdentityKind};
use crate::model::access::rows::{Rows, RowsQuestion};
use crate::model::access::verdict::{Command, CommandAccess, TableAccess, Verdict};
use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::name::TableName;
use crate::model::workload::Workload;
use crate::model::workload::shape::Operator;
use crate::sql::lex::identifier::quote_literal;

/// Fewer executions or actors decide nothing.
const MIN_EXECUTIONS: u64 = 5;
const MIN_ACTORS: u64 = 3;
/// Conditions of a table that are compared.
const MOST_ATOMS: usize = 60;
/// Different constants that a column is compared with, as long as it is a state.
const MOST_CONSTANTS: usize = 4;
/// Actors for whom the rows that a condition opens are counted.
const MOST_ACTORS: usize = 3;

/// A condition as alternatives, for a command.
pub type Chosen = BTreeMap<(TableName, Command), Vec<Atom>>;

/// What was derived.
#[derive(Default)]
pub struct Derived {
    pub tables: Vec<TableAccess>,
    pub chosen: Chosen,
    /// For whom each table is used.
    pub used: BTreeMap<(TableName, Command), BTreeSet<ActsFor>>,
    pub warnings: Vec<String>,
}

/// Derives who may reach which rows. `me` writes who acts in a policy.
pub fn derive(
    workload: &Workload,
    catalog: &Catalog,
    acting: &Acting,
    rows: &dyn Rows,
    me: &dyn Fn(IdentityKind) -> String,
) -> Derived {
    if acting.who.identities.is_empty() {
        return Derived::default();
    }
    let names = names(workload, acting, rows);
    let found = executions(workload, catalog, acting, &names);
    let constants = constants(workload, catalog, acting);
    let mut decided: BTreeMap<TableName, Vec<Atom>> = BTreeMap::new();
    let mut derived = Derived::default();
    for table in parents_first(catalog) {
        let sources = Sources {
            catalog,
            identities: &acting.who.identities,
            decided: &decided,
            constants: &constants,
        };
        let mut atoms = sources.atoms(table);
        atoms.truncate(MOST_ATOMS);
        let deriver = Deriver { table, atoms: &atoms, found: &found, rows, me };
        let own = deriver.table(&mut derived);
        if let Some(select) = derived.chosen.get(&(table.name.clone(), Command::Select)) {
            decided.insert(table.name.clone(), select.clone());
        }
        derived.tables.extend(own);
    }
    derived.tables.sort_by(|a, b| a.table.cmp(&b.table));
    derived.used = found.used;
    derived
}

/// Tables with those that their keys lead to before them.
fn parents_first(catalog: &Catalog) -> Vec<&Table> {
    let holds = |table: &&Table| matches!(table.kind, TableKind::Table | TableKind::Partitioned);
    let mut rest: Vec<&Table> = catalog.tables.iter().filter(holds).collect();
    let mut done: BTreeSet<&TableName> = BTreeSet::new();
    let mut order = Vec::new();
    while !rest.is_empty() {
        let names: BTreeSet<&TableName> = rest.iter().map(|table| &table.name).collect();
        let is_ready = |table: &&Table| {
            table.foreign_keys.iter().all(|key| {
                key.references == table.name
                    || done.contains(&key.references)
                    || !names.contains(&key.references)
            })
        };
        let (mut ready, later): (Vec<&Table>, Vec<&Table>) = rest.into_iter().partition(is_ready);
        rest = later;
        if ready.is_empty() {
            // Keys that go in a circle: any of them begins.
            ready.push(rest.remove(0));
        }
        done.extend(ready.iter().map(|table| &table.name));
        order.extend(ready);
    }
    order
}

/// Constants that users' statements compare a column of few values with, where they are bound to nobody.
fn constants(
    workload: &Workload,
    catalog: &Catalog,
    acting: &Acting,
) -> BTreeMap<(TableName, String), BTreeSet<String>> {
    let mut of_users: BTreeSet<usize> = BTreeSet::new();
    for (unit, own) in acting.units.iter().enumerate() {
        if matches!(acting.acts_for[unit], ActsFor::User | ActsFor::Anonymous) {
            of_users.extend(
                own.executions.iter().map(|at| workload.timeline.executions[*at].query as usize),
            );
        }
    }
    let is_owner = |table: &TableName, column: &str| {
        let of = super::domains::domain(catalog, table, column);
        acting.who.identities.iter().any(|own: &Identity| of.as_ref() == Some(&own.table))
    };
    let mut found: BTreeMap<(TableName, String), BTreeSet<String>> = BTreeMap::new();
    for at in of_users {
        let query = &workload.queries[at];
        let Some(shape) = &query.shape else { continue };
        let is_bound = shape.scans.iter().any(|scan| {
            let columns = scan.filters.iter().filter_map(|filter| filter.key.column());
            columns.into_iter().any(|column| is_owner(&scan.table, column))
        });
        if is_bound {
            continue;
        }
        for scan in shape.scans.iter().filter(|scan| !scan.target) {
            let Some(table) = catalog.table(&scan.table) else { continue };
            for filter in &scan.filters {
                let Some(column) = filter.key.column() else { continue };
                let is_key = super::domains::domain(catalog, &table.name, column).is_some();
                let is_equal = matches!(filter.operator, Operator::Equal | Operator::In);
                if is_key || !is_equal || table.has_unique(&[column]) {
                    continue;
                }
                let slots = filter
                    .slots
                    .iter()
                    .filter_map(|slot| query.slots.get(usize::from(*slot).checked_sub(1)?));
                let values: Vec<String> = slots
                    .flat_map(|slot| slot.kept())
                    .filter_map(|kept| kept.value.expose().map(str::to_owned))
                    .collect();
                let key = (table.name.clone(), column.to_owned());
                found.entry(key).or_default().extend(values);
            }
        }
    }
    found.retain(|_, values| !values.is_empty() && values.len() <= MOST_CONSTANTS);
    found
}

/// Derives the commands of one table.
struct Deriver<'a> {
    table: &'a Table,
    atoms: &'a [Atom],
    found: &'a Executions,
    rows: &'a dyn Rows,
    me: &'a dyn Fn(IdentityKind) -> String,
}

impl Deriver<'_> {
    fn table(&self, derived: &mut Derived) -> Option<TableAccess> {
        let acted = self.found.of.get(&self.table.name).map_or(&[][..], Vec::as_slice);
        let open = self.open(acted, derived);
        let mut commands = Vec::new();
        for command in Command::ALL {
            let key = (self.table.name.clone(), command);
            let own: Vec<&Acted> = acted.iter().filter(|own| own.command == command).collect();
            let calls = self.found.calls.get(&key).copied().unwrap_or(0).max(own.len() as u64);
            if calls == 0 {
                if self.found.used.contains_key(&key) {
                    commands.push(empty(
                        command,
                        Verdict::ServiceOnly,
                        "no statement of a user does this",
                    ));
                }
                continue;
            }
            let (evidence, failed) = self.evidence(&own, calls);
            let chosen = match command {
                Command::Insert => self.held_by_all(&open, &evidence),
                _ => choose(self.atoms, &open, &evidence),
            };
            let atoms = match command {
                Command::Insert => chosen.iter().map(|at| self.atoms[*at].clone()).collect(),
                _ => self.with_other_identities(&chosen, &evidence),
            };
            let mut access = self.access(command, &evidence, (&chosen, &atoms), failed);
            access.columns = self.found.columns.get(&key).into_iter().flatten().cloned().collect();
            if access.verdict != Verdict::NeedsDecision {
                derived.chosen.insert(key, atoms);
            }
            commands.push(access);
        }
        (!commands.is_empty()).then(|| TableAccess { table: self.table.name.clone(), commands })
    }

    /// The conditions for an actor. Nobody is NULL, for which none holds that asks who it is.
    fn conditions(&self, alias: &str, who: &Who) -> Vec<String> {
        let me =
            |kind: IdentityKind| who.get(&kind).map_or_else(|| "NULL".to_owned(), quote_literal);
        self.atoms.iter().map(|atom| atom.sql(alias, &me)).collect()
    }

    fn evidence(&self, acted: &[&Acted], calls: u64) -> (Evidence, Option<String>) {
        let mut evidence = Evidence { executions: calls, ..Evidence::default() };
        let mut groups: BTreeMap<u64, u64> = BTreeMap::new();
        let mut actors: BTreeSet<&Who> = BTreeSet::new();
        let mut failed = None;
        for own in acted {
            let question = RowsQuestion {
                query: own.query,
                from: own.from.clone(),
                parameters: own.parameters.clone(),
                alias: own.alias.clone(),
                conditions: self.conditions(&own.alias, &own.who),
            };
            match self.rows.reached(&question) {
                Ok(reached) => {
                    if !own.who.is_empty() {
                        actors.insert(&own.who);
                    }
                    reached
                        .into_iter()
                        .for_each(|(mask, count)| *groups.entry(mask).or_default() += count);
                }
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        evidence.actors = actors.len() as u64;
        evidence.rows = groups.into_iter().collect();
        (evidence, failed)
    }

    /// The part of the table that each condition opens to an average actor.
    fn open(&self, acted: &[Acted], derived: &mut Derived) -> Vec<f64> {
        let actors: BTreeSet<&Who> =
            acted.iter().map(|own| &own.who).filter(|who| !who.is_empty()).collect();
        let mut sums = vec![0.0; self.atoms.len()];
        let mut asked = 0.0_f64;
        for who in actors.into_iter().take(MOST_ACTORS) {
            match self.rows.share(&self.table.name, "t", &self.conditions("t", who)) {
                Ok(shares) => {
                    asked += 1.0;
                    sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
                }
                Err(why) => derived.warnings.push(format!("{}: {why}", self.table.name)),
            }
        }
        // Without an answer their kinds decide: they stand in that order.
        let unknown = |at: usize| at as f64 / self.atoms.len() as f64;
        (0..self.atoms.len())
            .map(|at| if asked > 0.0 { sums[at] / asked } else { unknown(at) })
            .collect()
    }

    /// The chosen conditions, with each column of another identity that holds for all rows of an owner.
    fn with_other_identities(&self, chosen: &[usize], evidence: &Evidence) -> Vec<Atom> {
        let with = |at: &usize| {
            let own = &self.atoms[*at];
            let Atom::Owner { identity, .. } = own else { return own.clone() };
            let rows = || evidence.rows.iter().filter(|(mask, _)| mask & (1 << at) != 0);
            let holds = |other: &usize| {
                let is_other = matches!(&self.atoms[*other], Atom::Owner { identity: of, .. } if of != identity);
                is_other
                    && rows().next().is_some()
                    && rows().all(|(mask, _)| mask & (1 << other) != 0)
            };
            let others: Vec<Atom> = (0..self.atoms.len())
                .filter(holds)
                .map(|other| self.atoms[other].clone())
                .collect();
            match others.is_empty() {
                true => own.clone(),
                false => Atom::All([vec![own.clone()], others].concat()),
            }
        };
        chosen.iter().map(with).collect()
    }

    /// What held for all inserted rows: every column of an owner, and for each other key the tightest condition.
    fn held_by_all(&self, open: &[f64], evidence: &Evidence) -> Vec<usize> {
        let all = evidence.reached();
        let holds = |at: &usize| all > 0 && evidence.explained(&[*at]) == all;
        let mut held: Vec<usize> =
            (0..self.atoms.len()).filter(|at| self.atoms[*at].is_private() && holds(at)).collect();
        held.sort_by(|a, b| {
            let is_owner = |at: &usize| matches!(self.atoms[*at], Atom::Owner { .. });
            is_owner(b).cmp(&is_owner(a)).then(open[*a].total_cmp(&open[*b])).then(a.cmp(b))
        });
        let mut columns = BTreeSet::new();
        held.retain(|at| {
            let is_new_row = matches!(self.atoms[*at], Atom::Reverse { .. });
            !is_new_row
                && self.atoms[*at].column().is_some_and(|column| columns.insert(column.to_owned()))
        });
        held
    }

    fn access(
        &self,
        command: Command,
        evidence: &Evidence,
        (chosen, atoms): (&[usize], &[Atom]),
        failed: Option<String>,
    ) -> CommandAccess {
        let atoms: Vec<&Atom> = atoms.iter().collect();
        let is_public = atoms.iter().any(|atom| !atom.is_private());
        let has_enough = evidence.executions >= MIN_EXECUTIONS
            && (is_public || evidence.actors >= MIN_ACTORS)
            && evidence.reached() > 0;
        let writes_all = command != Command::Select && (is_public || atoms.is_empty());
        let (verdict, why) = if !has_enough {
            let why = failed.unwrap_or_else(|| {
                format!(
                    "{} executions by {} users reached {} rows",
                    evidence.executions,
                    evidence.actors,
                    evidence.reached()
                )
            });
            (Verdict::NeedsDecision, Some(why))
        } else if writes_all {
            (Verdict::NeedsDecision, Some("rows are written that are nobody's".to_owned()))
        } else {
            (verdict_of(&atoms, self.has_owner(), command), None)
        };
        let joined = if command == Command::Insert { " AND " } else { " OR " };
        let condition = (!atoms.is_empty()).then(|| self.condition(&atoms, joined));
        let alternatives = self.alternatives(evidence, chosen);
        CommandAccess {
            command,
            verdict,
            principal: atoms.iter().map(|atom| atom.path()).collect(),
            columns: Vec::new(),
            using: condition.clone().filter(|_| command != Command::Insert),
            check: condition.filter(|_| matches!(command, Command::Insert | Command::Update)),
            executions: evidence.executions,
            actors: evidence.actors,
            rows_reached: evidence.reached(),
            rows_explained: evidence.explained(chosen),
            why,
            alternatives,
        }
    }

    fn has_owner(&self) -> bool {
        self.atoms.iter().any(Atom::is_private)
    }

    fn condition(&self, atoms: &[&Atom], joined: &str) -> String {
        let name = crate::sql::lex::identifier::quote(&self.table.name.name);
        let all: Vec<String> = atoms.iter().map(|atom| atom.sql(&name, self.me)).collect();
        all.join(joined)
    }

    /// Other conditions that explain rows.
    fn alternatives(&self, evidence: &Evidence, chosen: &[usize]) -> Vec<(String, u64)> {
        let others = (0..self.atoms.len()).filter(|at| !chosen.contains(at));
        let mut found: Vec<(String, u64)> = others
            .map(|at| (self.condition(&[&self.atoms[at]], " OR "), evidence.explained(&[at])))
            .filter(|(_, explained)| *explained > 0)
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(3);
        found
    }
}

fn verdict_of(atoms: &[&Atom], has_owner: bool, command: Command) -> Verdict {
    let owners =
        atoms.iter().filter(|atom| matches!(atom, Atom::Owner { .. } | Atom::All(_))).count();
    match atoms {
        [] => Verdict::None,
        all if all.iter().any(|atom| !atom.is_private()) => {
            if has_owner {
                Verdict::PublicRead
            } else {
                Verdict::Lookup
            }
        }
        // All of them hold for a row that is inserted.
        _ if owners > 0 && command == Command::Insert => Verdict::Owner,
        _ if owners > 1 => Verdict::MultiParty,
        _ if owners == 1 && atoms.len() == 1 => Verdict::Owner,
        all if all.iter().any(|atom| matches!(atom, Atom::Membership { .. })) => {
            Verdict::Membership
        }
        _ if atoms.len() > 1 && command != Command::Insert => Verdict::MultiParty,
        _ => Verdict::Join,
    }
}

fn empty(command: Command, verdict: Verdict, why: &str) -> CommandAccess {
    CommandAccess {
        command,
        verdict,
        principal: Vec::new(),
        columns: Vec::new(),
        using: None,
        check: None,
        executions: 0,
        actors: 0,
        rows_reached: 0,
        rows_explained: 0,
        why: Some(why.to_owned()),
        alternatives: Vec::new(),
    }
}
