//! What in a database may do more than compute, by the server's own catalog: functions by their volatility and their
//! bodies, and operators, types, views, tables and aggregates by the functions that they call.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::words::{Word, Words, words};
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;

/// Nodes of stored expressions that name functions, operators, types and relations, as a regular expression in SQL.
pub(super) const NODES: &str = "':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|opno|opnos \\(o|eqop|sortop|resulttype|relid)((?: \\d+)+)'";

/// Volatile functions of the server that only compute or read.
const HARMLESS: &[&str] = &[
    "clock_timestamp",
    "gen_random_uuid",
    "pg_database_size",
    "pg_indexes_size",
    "pg_lock_status",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "random",
    "random_normal",
    "timeofday",
    "uuidv4",
    "uuidv7",
];
/// Volatile functions of extensions that only compute.
const HARMLESS_OF_EXTENSIONS: &[&str] =
    &["gen_random_uuid", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"];

/// The function that takes a value from a sequence.
const NEXT_VALUE: &str = "nextval";

/// When a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// Already when the statement is planned.
    Plan,
    /// Only when it is executed.
    Execution,
}

/// A reason not to send a statement, and from when on it holds.
type Reason = Option<(Moment, String)>;

struct Function {
    schema: String,
    name: String,
    is_volatile: bool,
    language: String,
    is_system: bool,
    is_extension: bool,
    body: Option<String>,
    /// Its own search path.
    path: Option<Vec<String>>,
    nodes: Vec<Node>,
    /// It may be called as a column of a row.
    is_attribute: bool,
    types: Vec<u32>,
    /// The functions that an aggregate calls.
    steps: Vec<u32>,
}

struct Operator {
    schema: String,
    name: String,
    function: u32,
}

struct Type {
    schema: String,
    name: String,
    is_domain: bool,
    is_row_of_table: bool,
    nodes: Vec<Node>,
    casts: Vec<u32>,
    parts: Vec<u32>,
}

struct Relation {
    schema: String,
    name: String,
    kind: char,
    view: Vec<Node>,
    policies: Vec<Node>,
    children: Vec<u32>,
    types: Vec<u32>,
}

/// Something that a stored expression names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Function(u32),
    Operator(u32),
    Type(u32),
    Relation(u32),
}

/// The nodes of a row's texts, each a kind and numbers.
pub(super) fn nodes(texts: &[String]) -> Vec<Node> {
    let mut found = Vec::new();
    for text in texts {
        let mut parts = text.split_whitespace();
        let kind = parts.next().unwrap_or_default();
        let node = match kind {
            "opno" | "opnos" | "eqop" | "sortop" => Node::Operator,
            "resulttype" => Node::Type,
            "relid" => Node::Relation,
            _ => Node::Function,
        };
        found.extend(parts.filter_map(|number| number.parse().ok()).map(node));
    }
    found
}

/// The catalog of what may do more than compute.
pub struct Hazards {
    functions: HashMap<u32, Function>,
    operators: HashMap<u32, Operator>,
    types: HashMap<u32, Type>,
    relations: HashMap<u32, Relation>,
    functions_by_name: HashMap<String, Vec<u32>>,
    types_by_name: HashMap<String, Vec<u32>>,
    relations_by_name: HashMap<String, Vec<u32>>,
    /// Reasons that are known already.
    known: RefCell<HashMap<Node, Reason>>,
    /// What is being looked at, for what calls itself.
    open: RefCell<HashSet<Node>>,
    /// The schemas that bodies are looked up in, where they have no path of their own.
    path: Vec<String>,
}

impl Hazards {
    /// Reads the catalog. `path` is that of the workload.
    ///
    /// # Errors
    /// The server's error.
    pub fn load(connection: &Connection, path: Vec<String>) -> Result<Hazards, PgError> {
        let read = |sql: &str| connection.query(&sql.replace("{nodes}", NODES), &[]);
        let functions: HashMap<u32, Function> = read(include_str!("queries/functions.sql"))?
            .iter()
            .map(|row| (row.get(0), function(row)))
            .collect();
        let operators: HashMap<u32, Operator> = read(include_str!("queries/operators.sql"))?
            .iter()
            .map(|row| {
                let operator =
                    Operator { schema: row.get(1), name: row.get(2), function: row.get(3) };
                (row.get(0), operator)
            })
            .collect();
        let types: HashMap<u32, Type> = read(include_str!("queries/types.sql"))?
            .iter()
            .map(|row| (row.get(0), type_of(row)))
            .collect();
        let relations: HashMap<u32, Relation> = read(include_str!("queries/relations.sql"))?
            .iter()
            .map(|row| (row.get(0), relation(row)))
            .collect();
        Ok(Hazards {
            functions_by_name: by_name(functions.iter().map(|(oid, own)| (*oid, &own.name))),
            types_by_name: by_name(types.iter().map(|(oid, own)| (*oid, &own.name))),
            relations_by_name: by_name(relations.iter().map(|(oid, own)| (*oid, &own.name))),
            functions,
            operators,
            types,
            relations,
            known: RefCell::default(),
            open: RefCell::default(),
            path,
        })
    }

    /// Why a text must not be sent to be planned or executed, where names are looked up in `path`; `None` where
    /// nothing in it may do more than compute and read tables of this database.
    /// With `takes_sequences`, values may be taken from sequences.
    pub fn reason(
        &self,
        sql: &str,
        path: &[String],
        moment: Moment,
        takes_sequences: bool,
    ) -> Option<String> {
        let mut words = match words(sql) {
            Ok(words) => words,
            Err(why) => return Some(why),
        };
        if takes_sequences {
            let is_system = |word: &Word| {
                word.qualifier.as_ref().is_none_or(|qualifier| qualifier == "pg_catalog")
            };
            words.names.retain(|word| word.name != NEXT_VALUE || !is_system(word));
        }
        let (from, why) = self.of_words(&words, path)?;
        (from <= moment).then_some(why)
    }

    /// It takes a value from a sequence.
    pub(super) fn is_next_value(&self, node: Node) -> bool {
        let Node::Function(oid) = node else { return false };
        self.functions.get(&oid).is_some_and(|own| own.is_system && own.name == NEXT_VALUE)
    }

    /// The most urgent reason in a text.
    fn of_words(&self, words: &Words, path: &[String]) -> Reason {
        let is_visible = |schema: &str, qualifier: Option<&String>| match qualifier {
            Some(qualifier) => schema == qualifier,
            None => schema == "pg_catalog" || path.iter().any(|searched| searched == schema),
        };
        let mut found = Vec::new();
        for word in &words.names {
            let named =
                |map: &HashMap<String, Vec<u32>>| map.get(&word.name).cloned().unwrap_or_default();
            let qualifier = word.qualifier.as_ref();
            for oid in named(&self.functions_by_name) {
                let function = &self.functions[&oid];
                let is_called = match word.is_called {
                    true => is_visible(&function.schema, qualifier),
                    // `row.name`, where the qualifier is the row.
                    false => {
                        function.is_attribute
                            && word.qualifier.is_some()
                            && is_visible(&function.schema, None)
                    }
                };
                if is_called {
                    found.push(self.of(Node::Function(oid)));
                }
            }
            for oid in named(&self.relations_by_name) {
                if is_visible(&self.relations[&oid].schema, qualifier) {
                    found.push(self.of(Node::Relation(oid)));
                }
            }
            for oid in named(&self.types_by_name) {
                let own = &self.types[&oid];
                let is_meant = !own.is_row_of_table || word.is_after_cast;
                if is_meant && is_visible(&own.schema, qualifier) {
                    found.push(self.of(Node::Type(oid)));
                }
            }
        }
        for (oid, operator) in &self.operators {
            let is_found = is_visible(&operator.schema, None) || words.names_schema_of_operator();
            if is_found && words.has_operator(&operator.name) {
                found.push(self.of(Node::Operator(*oid)));
            }
        }
        found.into_iter().flatten().min()
    }

    /// The most urgent reason among stored nodes.
    pub(super) fn of_nodes(&self, nodes: &[Node]) -> Reason {
        nodes.iter().filter_map(|node| self.of(*node)).min()
    }

    /// The body of a trigger, which is volatile by nature.
    pub(super) fn of_trigger(&self, oid: u32) -> Reason {
        let function = self.functions.get(&oid)?;
        if function.is_extension {
            return Some((Moment::Execution, format!("{} is of an extension", function.name)));
        }
        self.of_body(function, true)
    }

    fn of(&self, node: Node) -> Reason {
        if let Some(known) = self.known.borrow().get(&node) {
            return known.clone();
        }
        // What calls itself does no more than what else it calls.
        if !self.open.borrow_mut().insert(node) {
            return None;
        }
        let reason = match node {
            Node::Function(oid) => self.functions.get(&oid).and_then(|own| self.of_function(own)),
            Node::Operator(oid) => self.operators.get(&oid).and_then(|own| {
                let (_, why) = self.of(Node::Function(own.function))?;
                // Estimates compute it on the most common values.
                Some((Moment::Plan, format!("the operator {} {why}", own.name)))
            }),
            Node::Type(oid) => self.types.get(&oid).and_then(|own| self.of_type(own)),
            Node::Relation(oid) => self.relations.get(&oid).and_then(|own| self.of_relation(own)),
        };
        self.open.borrow_mut().remove(&node);
        // Inside a circle the answer is not whole yet.
        if self.open.borrow().is_empty() || reason.is_some() {
            self.known.borrow_mut().insert(node, reason.clone());
        }
        reason
    }

    fn of_function(&self, function: &Function) -> Reason {
        let name = &function.name;
        let harmless = if function.is_extension { HARMLESS_OF_EXTENSIONS } else { HARMLESS };
        let is_ours_to_know = function.is_system || function.is_extension;
        if function.is_volatile {
            let is_harmless = is_ours_to_know && harmless.contains(&name.as_str());
            return (!is_harmless)
                .then(|| (Moment::Execution, format!("calls the volatile function {name}")));
        }
        if is_ours_to_know {
            return None;
        }
        let steps: Vec<Node> = function.steps.iter().map(|oid| Node::Function(*oid)).collect();
        let types: Vec<Node> = function.types.iter().map(|oid| Node::Type(*oid)).collect();
        let inside = self.of_nodes(&function.nodes).or_else(|| self.of_nodes(&steps));
        let inside =
            inside.or_else(|| self.of_nodes(&types)).or_else(|| self.of_body(function, false));
        let (_, why) = inside?;
        let moment = if steps.is_empty() { Moment::Plan } else { Moment::Execution };
        Some((moment, format!("calls the function {name}, which {why}")))
    }

    /// What a body does, as far as its words tell. `may_assign` is set for triggers.
    fn of_body(&self, function: &Function, may_assign: bool) -> Reason {
        let refused = |why: &str| Some((Moment::Plan, why.to_owned()));
        match (function.language.as_str(), &function.body) {
            ("internal" | "c", _) => None,
            ("sql" | "plpgsql", Some(body)) => {
                let words = match words(body) {
                    Ok(words) => words,
                    Err(why) => return refused(&why),
                };
                if let Some(act) = words.act(may_assign) {
                    return refused(&format!("may {act}"));
                }
                self.of_words(&words, function.path.as_ref().unwrap_or(&self.path))
            }
            (language, _) => refused(&format!("is in {language}, which is not looked into")),
        }
    }

    fn of_type(&self, own: &Type) -> Reason {
        let casts: Vec<Node> = own.casts.iter().map(|oid| Node::Function(*oid)).collect();
        if let Some((moment, why)) = self.of_nodes(&casts) {
            return Some((moment, format!("a cast of the type {} {why}", own.name)));
        }
        if own.is_domain
            && let Some((_, why)) = self.of_nodes(&own.nodes)
        {
            // A constant of an array or a row of it is checked when the text is read.
            return Some((Moment::Plan, format!("the domain {} {why}", own.name)));
        }
        let parts: Vec<Node> = own.parts.iter().map(|oid| Node::Type(*oid)).collect();
        self.of_nodes(&parts)
    }

    fn of_relation(&self, own: &Relation) -> Reason {
        let named = |what: &str, reason: Reason| {
            reason
                .map(|(moment, why)| (moment, format!("{what} {}.{} {why}", own.schema, own.name)))
        };
        if own.kind == 'f' {
            let why = format!("{}.{} is a foreign table", own.schema, own.name);
            return Some((Moment::Execution, why));
        }
        let children: Vec<Node> = own.children.iter().map(|oid| Node::Relation(*oid)).collect();
        // Values are cast; a domain is not checked when it is read.
        let casts = own.types.iter().filter_map(|oid| self.types.get(oid));
        let casts: Vec<Node> =
            casts.flat_map(|own| own.casts.iter().map(|oid| Node::Function(*oid))).collect();
        named("the view", self.of_nodes(&own.view))
            .or_else(|| named("a policy of", self.of_nodes(&own.policies)))
            .or_else(|| named("a cast of a column of", self.of_nodes(&casts)))
            .or_else(|| self.of_nodes(&children))
    }
}

fn by_name<'n>(all: impl Iterator<Item = (u32, &'n String)>) -> HashMap<String, Vec<u32>> {
    let mut map: HashMap<String, Vec<u32>> = HashMap::new();
    for (oid, name) in all {
        map.entry(name.clone()).or_default().push(oid);
    }
    map
}

fn function(row: &Row) -> Function {
    let path: Option<String> = row.get(8);
    Function {
        schema: row.get(1),
        name: row.get(2),
        is_volatile: row.get(3),
        language: row.get(4),
        is_system: row.get(5),
        is_extension: row.get(6),
        body: row.get(7),
        path: path.map(|path| crate::pg::connect::caller::schemas(&path)),
        nodes: nodes(&row.get::<_, Vec<String>>(9)),
        is_attribute: row.get(10),
        types: row.get(11),
        steps: row.get::<_, Option<Vec<u32>>>(12).unwrap_or_default(),
    }
}

fn type_of(row: &Row) -> Type {
    Type {
        schema: row.get(1),
        name: row.get(2),
        is_domain: row.get(3),
        is_row_of_table: row.get(4),
        nodes: nodes(&row.get::<_, Vec<String>>(5)),
        casts: row.get(6),
        parts: row.get(7),
    }
}

fn relation(row: &Row) -> Relation {
    Relation {
        schema: row.get(1),
        name: row.get(2),
        kind: row.get::<_, &str>(3).chars().next().unwrap_or('r'),
        view: nodes(&row.get::<_, Vec<String>>(4)),
        policies: nodes(&row.get::<_, Vec<String>>(5)),
        children: row.get(6),
        types: row.get(7),
    }
}
