//! Who acts in each unit of work, by settings and by statements that look him up.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::domains::{Domains, domain};
use super::units::{Unit, units};
use crate::model::access::acting::{ActingRole, ActsFor, Arrival, Identity, IdentityKind, WhoActs};
use crate::model::catalog::{Catalog, TableKind};
use crate::model::name::TableName;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::shape::{Operator, StatementKind};
use crate::model::workload::timeline::SlotHash;
use crate::model::workload::{Setting, Workload};

/// Part of the units in which a value has to be that of who acts.
const MIN_AGREEMENT: f64 = 0.9;
/// Part of the units of an application that a look-up has to stand in.
const MIN_CARRIED: f64 = 0.2;
/// Different values of a setting and of a look-up, at least.
const MIN_VALUES: usize = 2;
const MIN_LOOKED_UP: usize = 3;
/// Statements at the beginning of a unit among which a look-up stands.
pub(super) const FIRST_STATEMENTS: usize = 3;
/// Settings and claims that tell something else than who it is.
const NEVER: &[&str] = &["role", "search_path", "exp", "iat", "nbf"];

/// A value that a statement binds to a column, by its literal position.
struct Bound {
    slot: usize,
    /// The table whose key the column holds.
    domain: Option<TableName>,
    /// It has to equal the value in every row, and is not written.
    is_filter: bool,
    /// A row is read by its own key, and it tells nothing of who reads.
    reads_own_key: bool,
}

/// How many of some values are keys of a table: asks the database.
pub type Found<'f> = &'f dyn Fn(&Setting, &TableName, &str) -> Option<usize>;

/// Units of a workload, with who acts in each.
pub struct Acting {
    pub units: Vec<Unit>,
    /// For each unit the value of each identity, in the order of [`WhoActs::identities`].
    pub values: Vec<Vec<Option<SlotHash>>>,
    pub acts_for: Vec<ActsFor>,
    pub who: WhoActs,
}

struct Learner<'a> {
    workload: &'a Workload,
    catalog: &'a Catalog,
    units: &'a [Unit],
    bound: Vec<Vec<Bound>>,
    /// Tables that keys of others lead to, with the number of those columns.
    roots: BTreeMap<TableName, usize>,
}

/// Learns who acts.
pub fn who_acts(workload: &Workload, catalog: &Catalog, found: Found<'_>) -> Acting {
    let units = units(workload);
    let bound: Vec<Vec<Bound>> =
        (0..workload.queries.len()).map(|at| bound_by(workload, catalog, at)).collect();
    let learner = Learner { workload, catalog, units: &units, bound, roots: roots(catalog) };
    let mut known = learner.by_settings(found);
    if !known.iter().any(|own| own.0.kind == IdentityKind::User) {
        known.extend(learner.by_look_up());
    }
    known.sort_by_key(|(identity, _)| identity.kind);
    let identities: Vec<Identity> = known.iter().map(|(identity, _)| identity.clone()).collect();
    let values: Vec<Vec<Option<SlotHash>>> =
        (0..units.len()).map(|at| known.iter().map(|(_, values)| values[at]).collect()).collect();
    let acts_for = learner.acts_for(&identities, &values);
    let roles = learner.roles(&acts_for);
    let warnings = warnings(catalog, &units, &identities);
    Acting { values, acts_for, who: WhoActs { identities, roles, warnings }, units }
}

/// Why nobody is known to act, in a database that has users.
fn warnings(catalog: &Catalog, units: &[Unit], identities: &[Identity]) -> Vec<String> {
    let has_users = Domains::of(catalog, &BTreeSet::new()).root.is_some();
    if !has_users || units.is_empty() || !identities.is_empty() {
        return Vec::new();
    }
    let loose = units.iter().filter(|unit| !unit.is_bounded).count();
    let why = match loose * 2 > units.len() {
        true => {
            "most statements stand in no transaction and no trace; let the application name its traces (sqlcommenter), or set who acts in a transaction"
        }
        false => "no setting or look-up holds the key of a user",
    };
    vec![format!("no statement tells who acts: {why}")]
}

/// Tables to which foreign keys of others lead.
fn roots(catalog: &Catalog) -> BTreeMap<TableName, usize> {
    let mut found: BTreeMap<TableName, usize> = BTreeMap::new();
    for table in &catalog.tables {
        for key in table.foreign_keys.iter().filter(|key| key.columns.len() == 1) {
            if let Some(root) = domain(catalog, &table.name, &key.columns[0]) {
                *found.entry(root).or_default() += 1;
            }
        }
    }
    found
}

/// The values that a statement binds to columns.
fn bound_by(workload: &Workload, catalog: &Catalog, query: usize) -> Vec<Bound> {
    let Some(shape) = &workload.queries[query].shape else { return Vec::new() };
    let mut all = Vec::new();
    for scan in &shape.scans {
        let mut add = |column: &str, slot: u16, is_filter: bool| {
            all.push(Bound {
                slot: usize::from(slot).saturating_sub(1),
                reads_own_key: !scan.target
                    && domain(catalog, &scan.table, column).as_ref() == Some(&scan.table),
                domain: domain(catalog, &scan.table, column),
                is_filter,
            });
        };
        for filter in scan.filters.iter().filter(|filter| filter.operator == Operator::Equal) {
            if let (Some(column), [slot]) = (filter.key.column(), filter.slots.as_slice()) {
                add(column, *slot, true);
            }
        }
        scan.assigned.iter().for_each(|(column, slot)| add(column, *slot, false));
    }
    all
}

type Known = (Identity, Vec<Option<SlotHash>>);

/// A statement that looks somebody up, with the value in each unit.
type Carrier = (u32, Vec<Option<SlotHash>>);

/// A unit, the place of a statement in it, and the value that it is bound to.
type LookedUp = (usize, usize, SlotHash);

/// What a role of the database does for somebody.
#[derive(Default)]
struct Doing {
    units: u64,
    applications: BTreeSet<u32>,
    queries: BTreeSet<Fingerprint>,
}

impl Learner<'_> {
    fn value(&self, execution: usize, slot: usize) -> Option<SlotHash> {
        let execution = &self.workload.timeline.executions[execution];
        let positions = self.workload.queries[execution.query as usize].slots.len();
        let value = self.workload.timeline.slots(execution, positions).get(slot)?;
        value.is_scalar().then_some(*value)
    }

    /// Values of a domain that the statements of a unit bind, from some statement on.
    fn bound_values(&self, unit: &Unit, root: &TableName, from: usize) -> HashSet<SlotHash> {
        let executions = unit.executions.iter().skip(from);
        executions
            .flat_map(|at| {
                let query = self.workload.timeline.executions[*at].query as usize;
                let own = self.bound[query]
                    .iter()
                    .filter(|own| own.domain.as_ref() == Some(root) && !own.reads_own_key);
                own.filter_map(|own| self.value(*at, own.slot))
            })
            .collect()
    }

    /// Identities whose key a setting holds.
    fn by_settings(&self, found: Found<'_>) -> Vec<Known> {
        let mut candidates: Vec<(usize, TableName, usize, Vec<Option<SlotHash>>)> = Vec::new();
        for (at, setting) in self.workload.settings.iter().enumerate() {
            let last = setting.member.as_deref().unwrap_or(&setting.name);
            if NEVER.contains(&last.rsplit('.').next().unwrap_or(last)) {
                continue;
            }
            let values: Vec<Option<SlotHash>> =
                self.units.iter().map(|unit| unit.settings.get(&(at as u32)).copied()).collect();
            let different: HashSet<SlotHash> = values.iter().flatten().copied().collect();
            if different.len() < MIN_VALUES {
                continue;
            }
            if let Some((root, score)) = self.root_of_setting(setting, &values, found) {
                candidates.push((at, root, score, values));
            }
        }
        // One for each table: the one that agrees most often.
        candidates.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
        let mut taken = BTreeSet::new();
        candidates.retain(|candidate| taken.insert(candidate.1.clone()));
        let tables: Vec<TableName> = candidates.iter().map(|own| own.1.clone()).collect();
        candidates
            .into_iter()
            .filter_map(|(at, root, _, values)| {
                let Setting { name, member, .. } = &self.workload.settings[at];
                let arrives = Arrival::Setting { name: name.clone(), member: member.clone() };
                Some((self.identity(&root, &tables, arrives, &values)?, values))
            })
            .collect()
    }

    /// The table whose keys a setting holds, with how often that was seen.
    fn root_of_setting(
        &self,
        setting: &Setting,
        values: &[Option<SlotHash>],
        found: Found<'_>,
    ) -> Option<(TableName, usize)> {
        let mut best: Option<(TableName, usize, usize)> = None;
        for (root, columns) in &self.roots {
            let (mut agree, mut asked) = (0, 0);
            for (unit, value) in self.units.iter().zip(values) {
                let Some(value) = value else { continue };
                let bound = self.bound_values(unit, root, 0);
                asked += usize::from(!bound.is_empty());
                agree += usize::from(bound.contains(value));
            }
            let recurs = asked >= MIN_VALUES && agree as f64 >= MIN_AGREEMENT * asked as f64;
            let is_there = || {
                let key = self.key(root)?;
                let count = found(setting, root, &key)?;
                let all = setting.examples.len();
                (count >= MIN_VALUES && count as f64 >= MIN_AGREEMENT * all as f64).then_some(count)
            };
            let score = if recurs { Some(agree) } else { is_there() };
            let Some(score) = score else { continue };
            if best.as_ref().is_none_or(|known| (score, *columns) > (known.1, known.2)) {
                best = Some((root.clone(), score, *columns));
            }
        }
        best.map(|(root, score, _)| (root, score))
    }

    fn key(&self, root: &TableName) -> Option<String> {
        let table = self.catalog.table(root)?;
        let index =
            table.indexes.iter().find(|index| index.primary && index.def.keys.len() == 1)?;
        Some(index.def.keys[0].expression.clone())
    }

    fn identity(
        &self,
        root: &TableName,
        all: &[TableName],
        arrives: Arrival,
        values: &[Option<SlotHash>],
    ) -> Option<Identity> {
        let column = self.key(root).or_else(|| self.referenced_key(root))?;
        let known = self.catalog.table(root).and_then(|table| table.column(&column));
        // A tenant is what the rows of another identity belong to.
        let is_above = all.iter().any(|other| other != root && self.belongs_to(other, root));
        let kind = if is_above { IdentityKind::Tenant } else { IdentityKind::User };
        Some(Identity {
            kind,
            table: root.clone(),
            type_name: known.map_or_else(|| "text".to_owned(), |column| column.type_name.clone()),
            column,
            arrives,
            units: self.units.len() as u64,
            units_known: values.iter().flatten().count() as u64,
        })
    }

    /// The column of a table that is not in the catalog, as foreign keys name it.
    fn referenced_key(&self, root: &TableName) -> Option<String> {
        let keys = self.catalog.tables.iter().flat_map(|table| &table.foreign_keys);
        keys.filter(|key| key.references == *root)
            .find_map(|key| key.referenced_columns.first().cloned())
    }

    /// Rows of one table have a column of the other, or a third table has both in its key.
    fn belongs_to(&self, part: &TableName, whole: &TableName) -> bool {
        let leads = |table: &TableName, column: &str, to: &TableName| {
            domain(self.catalog, table, column).as_ref() == Some(to)
        };
        self.catalog.tables.iter().any(|table| {
            let has = |to: &TableName| {
                table.foreign_keys.iter().any(|key| {
                    key.columns.len() == 1
                        && key.references != table.name
                        && leads(&table.name, &key.columns[0], to)
                })
            };
            if table.name == *part { has(whole) } else { false }
        }) || self.is_joined(part, whole)
    }

    fn is_joined(&self, part: &TableName, whole: &TableName) -> bool {
        self.catalog.tables.iter().filter(|table| table.kind == TableKind::Table).any(|table| {
            table.indexes.iter().any(|index| {
                let keys: Vec<Option<TableName>> = index
                    .def
                    .keys
                    .iter()
                    .map(|key| domain(self.catalog, &table.name, &key.expression))
                    .collect();
                index.primary
                    && keys.len() == 2
                    && keys.contains(&Some(part.clone()))
                    && keys.contains(&Some(whole.clone()))
            })
        }) && self.roots.get(whole) > self.roots.get(part)
    }

    /// The identity that statements at the beginning of units look up.
    fn by_look_up(&self) -> Option<Known> {
        let mut best: Option<(usize, u64, TableName, Vec<Carrier>)> = None;
        for (root, columns) in &self.roots {
            let carriers = self.carriers(root);
            let known: u64 =
                carriers.iter().map(|(_, values)| values.iter().flatten().count() as u64).sum();
            if carriers.is_empty() {
                continue;
            }
            if best.as_ref().is_none_or(|own| (*columns, known) > (own.0, own.1)) {
                best = Some((*columns, known, root.clone(), carriers));
            }
        }
        let (_, _, root, carriers) = best?;
        let first = carriers.iter().max_by_key(|(_, values)| values.iter().flatten().count())?;
        let fingerprint = self.workload.queries[first.0 as usize].fingerprint;
        let mut values = vec![None; self.units.len()];
        for (_, own) in &carriers {
            for (value, own) in values.iter_mut().zip(own) {
                *value = value.or(*own);
            }
        }
        let identity = self.identity(
            &root,
            std::slice::from_ref(&root),
            Arrival::LookUp(fingerprint),
            &values,
        )?;
        Some((identity, values))
    }

    /// Statements that look somebody up at the beginning of units, with the value in each unit.
    fn carriers(&self, root: &TableName) -> Vec<Carrier> {
        let bounded = || self.units.iter().filter(|unit| unit.is_bounded);
        let mut units_of: BTreeMap<u32, usize> = BTreeMap::new();
        bounded().for_each(|unit| *units_of.entry(unit.application).or_default() += 1);
        // For each application and statement, with the one before it, the units that it stands in, and its value there:
        // the same statement may look up who asks and somebody else.
        let mut seen: BTreeMap<(u32, u32, Option<u32>), Vec<LookedUp>> = BTreeMap::new();
        for (at, unit) in self.units.iter().enumerate().filter(|(_, unit)| unit.is_bounded) {
            for (place, execution) in unit.executions.iter().take(FIRST_STATEMENTS).enumerate() {
                let query = self.workload.timeline.executions[*execution].query;
                let before = place
                    .checked_sub(1)
                    .map(|before| self.workload.timeline.executions[unit.executions[before]].query);
                if let Some(value) = self.looked_up(query, *execution, root) {
                    let known = seen.entry((unit.application, query, before)).or_default();
                    if known.last().is_none_or(|last| last.0 != at) {
                        known.push((at, place, value));
                    }
                }
            }
        }
        let mut found: Vec<Carrier> = Vec::new();
        for ((application, query, _), places) in seen {
            let different: HashSet<SlotHash> = places.iter().map(|place| place.2).collect();
            let of_all = units_of.get(&application).copied().unwrap_or(0);
            let (mut asked, mut agree) = (0_usize, 0_usize);
            for (at, place, value) in &places {
                let later = self.bound_values(&self.units[*at], root, place + 1);
                asked += usize::from(!later.is_empty());
                agree += usize::from(later.contains(value));
            }
            let is_carrier = places.len() as f64 >= MIN_CARRIED * of_all as f64
                && different.len() >= MIN_LOOKED_UP
                && asked > 0
                && agree as f64 >= MIN_AGREEMENT * asked as f64;
            if is_carrier {
                let mut values = vec![None; self.units.len()];
                places.iter().for_each(|(at, _, value)| values[*at] = Some(*value));
                found.push((query, values));
            }
        }
        found
    }

    /// The key of the root that a SELECT is bound to.
    fn looked_up(&self, query: u32, execution: usize, root: &TableName) -> Option<SlotHash> {
        let shape = self.workload.queries[query as usize].shape.as_ref()?;
        if shape.kind != StatementKind::Select || shape.writes {
            return None;
        }
        let own = self.bound[query as usize]
            .iter()
            .find(|own| own.is_filter && own.domain.as_ref() == Some(root))?;
        self.value(execution, own.slot)
    }

    fn acts_for(&self, identities: &[Identity], values: &[Vec<Option<SlotHash>>]) -> Vec<ActsFor> {
        let has_value = |at: usize| values[at].iter().any(Option::is_some);
        let with_value: BTreeSet<(u32, u32)> = (0..self.units.len())
            .filter(|at| has_value(*at))
            .map(|at| (self.units[at].application, self.units[at].role_key))
            .collect();
        (0..self.units.len())
            .map(|at| {
                let unit = &self.units[at];
                if has_value(at) {
                    ActsFor::User
                } else if !with_value.contains(&(unit.application, unit.role_key)) {
                    ActsFor::Service
                } else if self.signs_in(unit, identities) {
                    ActsFor::SignIn
                } else {
                    ActsFor::Anonymous
                }
            })
            .collect()
    }

    /// The unit reads users, by something else than their key, or makes one.
    fn signs_in(&self, unit: &Unit, identities: &[Identity]) -> bool {
        let Some(identity) = identities.iter().find(|own| own.kind == IdentityKind::User) else {
            return false;
        };
        unit.executions.iter().any(|at| {
            let query = self.workload.timeline.executions[*at].query as usize;
            let Some(shape) = &self.workload.queries[query].shape else { return false };
            shape.scans.iter().any(|scan| {
                let is_root = scan.table == identity.table;
                let by_other = scan.filters.iter().any(|filter| {
                    filter.operator == Operator::Equal
                        && filter.key.column().is_none_or(|column| column != identity.column)
                });
                is_root && (scan.target || by_other)
            })
        })
    }

    fn roles(&self, acts_for: &[ActsFor]) -> Vec<ActingRole> {
        let mut found: BTreeMap<(ActsFor, u32), Doing> = BTreeMap::new();
        for (unit, acts_for) in self.units.iter().zip(acts_for) {
            let own = found.entry((*acts_for, unit.role_key)).or_default();
            own.units += 1;
            own.applications.insert(unit.application);
            own.queries.extend(unit.executions.iter().map(|at| {
                let query = self.workload.timeline.executions[*at].query as usize;
                self.workload.queries[query].fingerprint
            }));
        }
        let name = |key: &u32| self.workload.roles.get(key).cloned();
        let users: BTreeSet<Option<String>> = found
            .keys()
            .filter(|(kind, _)| *kind == ActsFor::User)
            .map(|(_, key)| name(key))
            .collect();
        let mut roles: BTreeMap<(ActsFor, String), ActingRole> = BTreeMap::new();
        for ((acts_for, key), Doing { units, applications, queries }) in found {
            let today = name(&key).unwrap_or_else(|| "app".to_owned());
            let is_shared = users.contains(&name(&key));
            let (role, is_new) = match acts_for {
                ActsFor::Service if is_shared => (format!("{today}_service"), true),
                ActsFor::SignIn if is_shared => (format!("{today}_sign_in"), true),
                _ => (today, false),
            };
            let own = roles.entry((acts_for, role.clone())).or_insert_with(|| ActingRole {
                role,
                acts_for,
                is_new,
                applications: Vec::new(),
                units: 0,
                queries: Vec::new(),
            });
            own.units += units;
            own.queries.extend(queries);
            let names = applications.iter().filter_map(|hash| self.workload.applications.get(hash));
            own.applications.extend(names.cloned());
            own.applications.sort();
            own.applications.dedup();
            own.queries.sort();
            own.queries.dedup();
        }
        roles.into_values().collect()
    }
}
