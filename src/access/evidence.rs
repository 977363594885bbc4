//! Executions of which the actor is known, and the rows that they reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::units::Unit;
use super::who_acts::{Acting, FIRST_STATEMENTS};
use crate::model::access::acting::{ActsFor, Arrival, Identity, IdentityKind};
use crate::model::access::rows::Rows;
use crate::model::access::verdict::Command;
use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::name::TableName;
use crate::model::workload::literal::Literal;
use crate::model::workload::shape::StatementKind;
use crate::model::workload::timeline::SlotHash;
use crate::model::workload::{Query, Sample, Workload};
use crate::sql::lex::identifier::{quote_literal, quote_table};
use crate::sql::normalize::normalizer::normalize;
use crate::sql::rewrite::rows_reached::rows_reached;

/// Executions of one statement that are looked at.
const MOST_EXECUTIONS: usize = 12;
/// Keys of an identity that are read to know values by their hashes.
const MOST_KEYS: usize = 200_000;

/// Who acts in an execution, by the value of each identity.
pub type Who = BTreeMap<IdentityKind, Literal>;

/// An execution that reads or writes rows of a table, as somebody or as nobody.
pub struct Acted {
    /// Position of the statement in the workload.
    pub query: usize,
    pub command: Command,
    pub who: Who,
    /// `FROM … WHERE …` with the parameters, and the name of the rows in it.
    pub from: String,
    pub alias: String,
    pub parameters: Vec<Literal>,
}

/// Acted executions of each table.
pub struct Executions {
    pub of: BTreeMap<TableName, Vec<Acted>>,
    /// Calls of users, by table and command, with the units of other roles.
    pub calls: BTreeMap<(TableName, Command), u64>,
    /// For whom each table is used.
    pub used: BTreeMap<(TableName, Command), BTreeSet<ActsFor>>,
    /// Columns that users' statements set or name.
    pub columns: BTreeMap<(TableName, Command), BTreeSet<String>>,
}

/// Names of values that are known only by their hashes.
pub fn names(
    workload: &Workload,
    acting: &Acting,
    rows: &dyn Rows,
) -> Vec<HashMap<SlotHash, Literal>> {
    let of_identity = |identity: &Identity| {
        let mut known: HashMap<SlotHash, Literal> = HashMap::new();
        let mut add = |value: &Literal| {
            if let Some(text) = value.expose() {
                known.insert(SlotHash::of_text(text), value.clone());
            }
        };
        match &identity.arrives {
            Arrival::Setting { name, member } => {
                let settings = workload.settings.iter();
                let own = settings.filter(|own| own.name == *name && own.member == *member);
                own.flat_map(|own| &own.examples).for_each(&mut add);
            }
            Arrival::LookUp(fingerprint) => {
                let query = workload.queries.iter().find(|query| query.fingerprint == *fingerprint);
                let samples = query.into_iter().flat_map(|query| &query.samples);
                samples.flat_map(|sample| &sample.parameters).for_each(&mut add);
            }
        }
        let keys = rows.keys(&identity.table, &identity.column, MOST_KEYS);
        keys.unwrap_or_default().iter().for_each(add);
        known
    };
    acting.who.identities.iter().map(of_identity).collect()
}

/// Finds the executions whose actor is known among the samples.
pub fn executions(
    workload: &Workload,
    catalog: &Catalog,
    acting: &Acting,
    names: &[HashMap<SlotHash, Literal>],
) -> Executions {
    let mut places: HashMap<(usize, i64, u32), usize> = HashMap::new();
    let mut kinds: BTreeMap<usize, BTreeMap<ActsFor, u64>> = BTreeMap::new();
    for (unit, own) in acting.units.iter().enumerate() {
        let is_known = acting.values[unit].iter().any(Option::is_some);
        let known_from = if is_known { known_from(workload, acting, own) } else { 0 };
        for (place, at) in own.executions.iter().enumerate() {
            let execution = &workload.timeline.executions[*at];
            let query = execution.query as usize;
            let acts_for = match place < known_from {
                true => ActsFor::SignIn,
                false => acting.acts_for[unit],
            };
            if is_of_users(acts_for) {
                places.insert((query, execution.at_us, execution.session), unit);
            }
            *kinds.entry(query).or_default().entry(acts_for).or_default() += 1;
        }
    }
    let mut found = Executions {
        of: BTreeMap::new(),
        calls: BTreeMap::new(),
        used: BTreeMap::new(),
        columns: BTreeMap::new(),
    };
    for (at, query) in workload.queries.iter().enumerate() {
        let of = kinds.get(&at).cloned().unwrap_or_default();
        let users: u64 =
            of.iter().filter(|(kind, _)| is_of_users(**kind)).map(|(_, count)| count).sum();
        note_commands(query, catalog, &of, &mut found);
        if users > 0 {
            add_samples(
                at,
                query,
                catalog,
                &|place| {
                    let unit = *places.get(&(at, place.0, place.1))?;
                    is_of_users(acting.acts_for[unit]).then(|| who(acting, unit, names))?
                },
                &mut found,
            );
        }
    }
    found
}

/// The statement of a unit from which on it is known who acts: a look-up, and what comes before it, runs before.
fn known_from(workload: &Workload, acting: &Acting, unit: &Unit) -> usize {
    let carriers = acting.who.identities.iter().filter_map(|own| match own.arrives {
        Arrival::LookUp(fingerprint) => Some(fingerprint),
        Arrival::Setting { .. } => None,
    });
    let place = |fingerprint| {
        unit.executions.iter().take(FIRST_STATEMENTS).position(|at| {
            let query = workload.timeline.executions[*at].query as usize;
            workload.queries[query].fingerprint == fingerprint
        })
    };
    carriers.filter_map(place).map(|place| place + 1).max().unwrap_or(0)
}

fn is_of_users(acts_for: ActsFor) -> bool {
    matches!(acts_for, ActsFor::User | ActsFor::Anonymous)
}

/// Values of who acts in a unit; `None` where one is known by its hash alone.
fn who(acting: &Acting, unit: usize, names: &[HashMap<SlotHash, Literal>]) -> Option<Who> {
    let mut who = Who::new();
    for (at, identity) in acting.who.identities.iter().enumerate() {
        if let Some(hash) = acting.values[unit][at] {
            who.insert(identity.kind, names[at].get(&hash)?.clone());
        }
    }
    Some(who)
}

fn command(kind: StatementKind) -> Command {
    match kind {
        StatementKind::Insert => Command::Insert,
        StatementKind::Update => Command::Update,
        StatementKind::Delete => Command::Delete,
        _ => Command::Select,
    }
}

/// Notes which commands users and others use on which tables.
fn note_commands(
    query: &Query,
    catalog: &Catalog,
    of: &BTreeMap<ActsFor, u64>,
    found: &mut Executions,
) {
    let Some(shape) = &query.shape else { return };
    for scan in shape.scans.iter().filter(|scan| catalog.table(&scan.table).is_some()) {
        let command = if scan.target { command(shape.kind) } else { Command::Select };
        let key = (scan.table.clone(), command);
        found.used.entry(key.clone()).or_default().extend(of.keys());
        let users: u64 =
            of.iter().filter(|(kind, _)| is_of_users(**kind)).map(|(_, count)| count).sum();
        if users == 0 {
            continue;
        }
        *found.calls.entry(key.clone()).or_default() += users;
        let columns = if scan.target { &scan.written } else { &scan.columns };
        found.columns.entry(key).or_default().extend(columns.iter().cloned());
    }
}

fn add_samples(
    at: usize,
    query: &Query,
    catalog: &Catalog,
    who: &dyn Fn((i64, u32)) -> Option<Who>,
    found: &mut Executions,
) {
    let Some(shape) = &query.shape else { return };
    let places = query.samples.iter().zip(&query.sample_places);
    let acted = places.filter_map(|(sample, place)| Some((sample, who((*place)?)?)));
    // Different actors tell more than the same again.
    let mut seen: BTreeMap<Who, usize> = BTreeMap::new();
    let mut taken: Vec<(&Sample, Who)> = Vec::new();
    for (sample, who) in acted {
        let times = seen.entry(who.clone()).or_default();
        *times += 1;
        if *times <= 2 && taken.len() < MOST_EXECUTIONS {
            taken.push((sample, who));
        }
    }
    for (sample, who) in taken {
        match shape.kind {
            StatementKind::Insert => add_insert(at, query, sample, &who, catalog, found),
            kind => add_reached(at, command(kind), sample, &who, catalog, found),
        }
    }
}

fn base_table<'c>(catalog: &'c Catalog, schema: Option<&str>, name: &str) -> Option<&'c Table> {
    let table = catalog.lookup(schema, name)?;
    matches!(table.kind, TableKind::Table | TableKind::Partitioned).then_some(table)
}

fn add_reached(
    query: usize,
    command: Command,
    sample: &Sample,
    who: &Who,
    catalog: &Catalog,
    found: &mut Executions,
) {
    let Some(reached) = rows_reached(&sample.text) else { return };
    for (place, table) in reached.tables.iter().enumerate() {
        let Some(own) = base_table(catalog, table.schema.as_deref(), &table.name) else { continue };
        let acted = |command: Command| Acted {
            query,
            command,
            who: who.clone(),
            from: reached.from.clone(),
            alias: table.alias.clone(),
            parameters: sample.parameters.clone(),
        };
        let all = found.of.entry(own.name.clone()).or_default();
        // Who changes rows has to see them.
        all.push(acted(Command::Select));
        if place == 0 && command != Command::Select {
            all.push(acted(command));
        }
    }
}

/// The row that an INSERT writes, made from its values.
fn add_insert(
    at: usize,
    query: &Query,
    sample: &Sample,
    who: &Who,
    catalog: &Catalog,
    found: &mut Executions,
) {
    let Some(shape) = &query.shape else { return };
    let Some(scan) = shape.scans.iter().find(|scan| scan.target) else { return };
    let Some(table) = base_table(catalog, Some(&scan.table.schema), &scan.table.name) else {
        return;
    };
    let normalized = normalize(&sample.text);
    let mut row = serde_json::Map::new();
    for (column, slot) in &scan.assigned {
        let slot = usize::from(*slot).checked_sub(1).and_then(|slot| normalized.slots.get(slot));
        let Some(value) = slot.and_then(|slot| slot.value(&sample.parameters)) else { return };
        row.insert(
            column.clone(),
            value.expose().map_or(serde_json::Value::Null, |text| text.into()),
        );
    }
    if row.is_empty() {
        return;
    }
    let json = Literal::text(serde_json::Value::Object(row).to_string());
    let name = quote_table(&table.name);
    let acted = |command: Command| Acted {
        query: at,
        command,
        who: who.clone(),
        from: format!(
            "FROM pg_catalog.jsonb_populate_record(NULL::{name}, {}::pg_catalog.jsonb) a",
            quote_literal(&json)
        ),
        alias: "a".to_owned(),
        parameters: Vec::new(),
    };
    let all = found.of.entry(table.name.clone()).or_default();
    all.push(acted(Command::Insert));
    // What is given back has to be seen.
    if query.normalized.contains(" RETURNING ") {
        all.push(acted(Command::Select));
    }
}
