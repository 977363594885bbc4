//! Builds a catalog from a schema dump (`pg_dump --schema-only`).

use std::collections::BTreeMap;

use sqlparser::ast::{
    AlterTableOperation, ColumnOption, CreateExtension, CreateIndex, CreatePolicy,
    CreatePolicyType, CreateTable, Expr, ForeignKeyConstraint, GrantObjects, ObjectName, Query,
    SelectItem, SetExpr, Statement, TableConstraint,
};

use super::exclusion::exclusion;
use super::functions::function;
use super::index::{create_index, index_key, push_index};
use super::index_alter::{Marks, class_options, in_tablespace};
use super::partitions::{attached, join, without_only};
use super::privileges::note;
use super::statements::{is_relevant, statements};
use crate::model::access::privileges::Privileges;
use crate::model::catalog::{Catalog, Column, ForeignKey, Origin, Policy, Table, TableKind};
use crate::model::index::{IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::model::workload::Coverage;
use crate::sql::parse::parser::{parse, parse_all};
use crate::sql::resolve::scope::{fold, last_name};

/// Reads a dump. Statements that cannot be read are counted with their line and never stop the rest;
/// statements that say nothing about tables are passed over.
pub fn catalog(dump: &str) -> (Catalog, Coverage) {
    let mut reading = Reading {
        catalog: empty(),
        coverage: Coverage::default(),
        domains: BTreeMap::new(),
        parts: Vec::new(),
        marks: Marks::default(),
    };
    for (line, text) in statements(dump) {
        reading.statement(line, &text);
    }
    let Reading { mut catalog, mut coverage, domains, parts, marks } = reading;
    marks.write(&mut catalog, &parts);
    join(&mut catalog, &parts, |index| marks.above(index));
    let columns = catalog.tables.iter_mut().flat_map(|table| &mut table.columns);
    columns.for_each(|column| column.type_name = base(&domains, &column.type_name));
    coverage.lines = dump.lines().count() as u64;
    (catalog, coverage)
}

/// A dump, read up to some statement.
struct Reading {
    catalog: Catalog,
    coverage: Coverage,
    domains: BTreeMap<TableName, String>,
    /// Partitions with what they are parts of.
    parts: Vec<(TableName, TableName)>,
    marks: Marks,
}

impl Reading {
    fn statement(&mut self, line: usize, text: &str) {
        note(&mut self.catalog.privileges, text);
        if let Some(pair) = attached(text) {
            self.parts.push(pair);
            return self.understood();
        }
        if let Some(own) = exclusion(text)
            && let Ok(create) = parse(&own.create)
        {
            apply(&mut self.catalog, &create);
            let table = self.catalog.tables.iter_mut().find(|table| table.name == own.table);
            let index = table.and_then(|table| table.indexes.last_mut());
            if let Some(index) = index.filter(|index| index.name == own.name) {
                index.constraint = true;
            }
            return self.understood();
        }
        if self.marks.note(text) {
            return self.understood();
        }
        let (text, is_only) = without_only(text);
        let (text, options) = class_options(&text);
        if !is_relevant(&text) {
            if let Some(own) = function(&text).filter(|own| !self.catalog.functions.contains(own)) {
                self.catalog.functions.push(own);
            }
            return;
        }
        match parse_all(&text) {
            Ok(parsed) => {
                self.understood();
                for statement in &parsed {
                    if let Statement::CreateDomain(domain) = statement {
                        let base = domain.data_type.to_string().to_lowercase();
                        self.domains.insert(table_name(&domain.name), base);
                    }
                    if is_known_index(&mut self.catalog, statement) {
                        continue;
                    }
                    apply(&mut self.catalog, statement);
                    if let Statement::CreateIndex(create) = statement {
                        self.mark_index(create, is_only, &options);
                    }
                }
            }
            Err(error) => {
                self.coverage.statements += 1;
                let head: Vec<&str> = text.split_whitespace().take(4).collect();
                self.coverage.skip("schema statement not parsed", 1, || {
                    format!(
                        "line {line}: {} … ({})",
                        head.join(" "),
                        crate::sql::normalize::redact::redact(&error.to_string())
                    )
                });
            }
        }
    }

    fn understood(&mut self) {
        self.coverage.statements += 1;
        self.coverage.understood += 1;
    }

    /// Adds to the index that was made last what stands around its statement.
    fn mark_index(&mut self, create: &CreateIndex, is_only: bool, options: &[(usize, String)]) {
        let table = table_mut(&mut self.catalog, &create.table_name);
        let Some(index) = table.and_then(|table| table.indexes.last_mut()) else { return };
        if is_only {
            self.marks.note_only(&index.schema, &index.name);
        }
        for (key, options) in options {
            if let Some(class) =
                index.def.keys.get_mut(*key).and_then(|k| k.operator_class.as_mut())
            {
                let plain = class.clone();
                class.push_str(&format!("({options})"));
                index.definition = index.definition.replacen(&plain, class, 1);
            }
        }
        if let Some(name) = &self.marks.tablespace {
            index.definition =
                in_tablespace(&index.definition, index.def.predicate.as_deref(), name);
        }
    }
}

/// The base type of a domain, at any depth; any other type is itself.
fn base(domains: &BTreeMap<TableName, String>, type_name: &str) -> String {
    let named = |name: &str| {
        let mut parts = name.rsplit('.').map(|part| part.trim_matches('"').to_owned());
        let name = parts.next()?;
        domains.get(&TableName::new(parts.next().unwrap_or_else(|| "public".to_owned()), name))
    };
    let mut found = type_name.to_owned();
    for _ in domains {
        let Some(base) = named(&found) else { break };
        found.clone_from(base);
    }
    found
}

fn empty() -> Catalog {
    Catalog {
        origin: Origin::Ddl,
        database: None,
        server_version: None,
        search_path: vec!["public".to_owned()],
        tables: Vec::new(),
        extensions: Vec::new(),
        system_identifier: None,
        hidden_classes: BTreeMap::new(),
        functions: Vec::new(),
        statistics_days: None,
        replicas: 0,
        privileges: Privileges::default(),
    }
}

/// The index that one `CREATE INDEX` makes on `table`; `None` when it cannot be read.
pub fn index_plan(sql: &str, table: &TableName) -> Option<IndexDef> {
    let mut catalog = empty();
    catalog.tables.push(empty_table(table.clone(), TableKind::Table));
    apply(&mut catalog, &parse(sql).ok()?);
    Some(IndexDef { table: table.clone(), ..catalog.tables.pop()?.indexes.pop()?.def })
}

fn apply(catalog: &mut Catalog, statement: &Statement) {
    match statement {
        Statement::CreateTable(create) => create_table(catalog, create),
        Statement::CreateView(view) => {
            let kind =
                if view.materialized { TableKind::MaterializedView } else { TableKind::View };
            let mut table = empty_table(table_name(&view.name), kind);
            table.columns =
                view.columns.iter().map(|named| column(&fold(&named.name), "")).collect();
            if table.columns.is_empty() {
                table.columns = outputs(&view.query).iter().map(|name| column(name, "")).collect();
            }
            if kind == TableKind::View {
                table.definition = Some(view.query.to_string());
            } else {
                let relations = &mut catalog.privileges.relations;
                let own = relations.iter_mut().find(|relation| relation.name == table.name);
                own.into_iter().for_each(|own| own.query = Some(view.query.to_string()));
            }
            add_table(catalog, table);
        }
        Statement::CreateIndex(create) => {
            if let Some(table) = table_mut(catalog, &create.table_name) {
                create_index(table, create);
            }
        }
        Statement::CreateExtension(create) => create_extension(catalog, create),
        Statement::CreatePolicy(create) => create_policy(catalog, create),
        Statement::AlterTable(alter) => {
            let Some(table) = table_mut(catalog, &alter.name) else { return };
            for operation in &alter.operations {
                alter_table(table, operation);
            }
        }
        Statement::Grant(grant) => {
            let Some(GrantObjects::Tables(names)) = &grant.objects else { return };
            for name in names {
                let Some(table) = table_mut(catalog, name) else { continue };
                for grantee in &grant.grantees {
                    let role =
                        grantee.name.as_ref().map_or("PUBLIC".to_owned(), ToString::to_string);
                    if !table.granted_to.contains(&role) {
                        table.granted_to.push(role);
                    }
                }
            }
        }
        _ => {}
    }
}

fn alter_table(table: &mut Table, operation: &AlterTableOperation) {
    match operation {
        AlterTableOperation::AddConstraint { constraint, .. } => add_constraint(table, constraint),
        AlterTableOperation::EnableRowLevelSecurity => table.row_security = true,
        AlterTableOperation::DisableRowLevelSecurity => table.row_security = false,
        AlterTableOperation::AddColumn { column_def, .. } => {
            let name = fold(&column_def.name);
            if table.column(&name).is_none() {
                table.columns.push(column(&name, &column_def.data_type.to_string()));
            }
        }
        _ => {}
    }
}

fn table_name(name: &ObjectName) -> TableName {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident().map(fold)).collect();
    match parts.as_slice() {
        [.., schema, table] => TableName::new(schema, table),
        [table] => TableName::new("public", table),
        [] => TableName::new("public", ""),
    }
}

fn table_mut<'c>(catalog: &'c mut Catalog, name: &ObjectName) -> Option<&'c mut Table> {
    let name = table_name(name);
    catalog.tables.iter_mut().find(|table| table.name == name)
}

fn empty_table(name: TableName, kind: TableKind) -> Table {
    Table {
        owner: None,
        name,
        kind,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        policies: Vec::new(),
        row_security: false,
        bound: Vec::new(),
        definition: None,
        rows: None,
        size_bytes: None,
        activity: None,
        never_analyzed: false,
        granted_to: Vec::new(),
        inherited: false,
        partitions: Vec::new(),
        part_indexes: Vec::new(),
        set_by_triggers: Vec::new(),
    }
}

fn column(name: &str, type_name: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_lowercase(),
        not_null: false,
        distinct: None,
        once: None,
        null_fraction: None,
        width_bytes: None,
        frequencies: Vec::new(),
        correlation: None,
        storage: None,
    }
}

fn create_table(catalog: &mut Catalog, create: &CreateTable) {
    let kind = match create.partition_by {
        Some(_) => TableKind::Partitioned,
        None => TableKind::Table,
    };
    let mut table = empty_table(table_name(&create.name), kind);
    for parent in create.inherits.iter().flatten() {
        if let Some(parent) = table_mut(catalog, parent) {
            parent.inherited = true;
            table.columns.extend(parent.columns.iter().cloned());
        }
    }
    for definition in &create.columns {
        let name = fold(&definition.name);
        let mut made = column(&name, &definition.data_type.to_string());
        for option in &definition.options {
            match &option.option {
                ColumnOption::NotNull => made.not_null = true,
                ColumnOption::PrimaryKey(_) => {
                    made.not_null = true;
                    let index = format!("{}_pkey", table.name.name);
                    push_index(&mut table, &index, vec![IndexKey::column(&name)], true);
                }
                ColumnOption::Unique(_) => {
                    let index = format!("{}_{name}_key", table.name.name);
                    push_index(&mut table, &index, vec![IndexKey::column(&name)], false);
                }
                ColumnOption::ForeignKey(key) => {
                    let fallback = format!("{}_{name}_fkey", table.name.name);
                    push_foreign_key(&mut table, key, vec![name.clone()], &fallback);
                }
                _ => {}
            }
        }
        table.columns.retain(|inherited| inherited.name != made.name);
        table.columns.push(made);
    }
    for constraint in &create.constraints {
        add_constraint(&mut table, constraint);
    }
    add_table(catalog, table);
}

/// The statement makes an index that is there already.
fn is_known_index(catalog: &mut Catalog, statement: &Statement) -> bool {
    let Statement::CreateIndex(create) = statement else { return false };
    let name = create.name.as_ref().and_then(last_name);
    let table = table_mut(catalog, &create.table_name);
    table.is_some_and(|table| {
        table.indexes.iter().any(|index| name.as_deref() == Some(index.name.as_str()))
    })
}

/// Adds a table or view, unless there is one: a file may hold its statements several times.
fn add_table(catalog: &mut Catalog, table: Table) {
    if catalog.tables.iter().all(|known| known.name != table.name) {
        catalog.tables.push(table);
    }
}

fn add_constraint(table: &mut Table, constraint: &TableConstraint) {
    match constraint {
        TableConstraint::PrimaryKey(key) => {
            let name = key.name.as_ref().map_or(format!("{}_pkey", table.name.name), fold);
            let keys: Vec<IndexKey> = key.columns.iter().map(index_key).collect();
            for column in &mut table.columns {
                column.not_null |= keys.iter().any(|key| key.expression == column.name);
            }
            push_index(table, &name, keys, true);
        }
        TableConstraint::Unique(unique) => {
            let keys: Vec<IndexKey> = unique.columns.iter().map(index_key).collect();
            let name = unique.name.as_ref().map_or_else(
                || {
                    let columns: Vec<&str> = keys.iter().map(|k| k.expression.as_str()).collect();
                    format!("{}_{}_key", table.name.name, columns.join("_"))
                },
                fold,
            );
            push_index(table, &name, keys, false);
        }
        TableConstraint::ForeignKey(key) => {
            let columns: Vec<String> = key.columns.iter().map(fold).collect();
            let fallback = format!("{}_{}_fkey", table.name.name, columns.join("_"));
            push_foreign_key(table, key, columns, &fallback);
        }
        _ => {}
    }
}

fn push_foreign_key(
    table: &mut Table,
    key: &ForeignKeyConstraint,
    columns: Vec<String>,
    fallback: &str,
) {
    let name = key.name.as_ref().map_or(fallback.to_owned(), fold);
    if table.foreign_keys.iter().any(|known| known.name == name) {
        return;
    }
    table.foreign_keys.push(ForeignKey {
        name,
        columns,
        references: table_name(&key.foreign_table),
        referenced_columns: key.referred_columns.iter().map(fold).collect(),
    });
}

/// Names of the columns that a query gives, as far as it names them.
fn outputs(query: &Query) -> Vec<String> {
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        SelectItem::UnnamedExpr(Expr::Function(function)) => last_name(&function.name),
        _ => None,
    };
    select.projection.iter().filter_map(name).collect()
}

/// Operator classes of pg_trgm, and where a dump has them: no search path but its own is known.
fn create_extension(catalog: &mut Catalog, create: &CreateExtension) {
    let name = fold(&create.name);
    let schema = create.schema.as_ref().map(fold).filter(|schema| schema != "public");
    if let Some(schema) = schema.filter(|_| name == "pg_trgm") {
        let classes = ["gin_trgm_ops", "gist_trgm_ops"].map(str::to_owned);
        catalog.hidden_classes.extend(classes.map(|class| (class, schema.clone())));
    }
    if !catalog.extensions.contains(&name) {
        catalog.extensions.push(name);
    }
}

fn create_policy(catalog: &mut Catalog, create: &CreatePolicy) {
    let Some(table) = table_mut(catalog, &create.table_name) else { return };
    let name = fold(&create.name);
    if table.policies.iter().any(|known| known.name == name) {
        return;
    }
    table.policies.push(Policy {
        name,
        command: create.command.as_ref().map_or("ALL".to_owned(), ToString::to_string),
        permissive: !matches!(create.policy_type, Some(CreatePolicyType::Restrictive)),
        roles: create.to.iter().flatten().map(ToString::to_string).collect(),
        using: create.using.as_ref().map(ToString::to_string),
        check: create.with_check.as_ref().map(ToString::to_string),
        compared: Vec::new(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"
\restrict abc
SET statement_timeout = 0;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE TABLE public.users (
    id bigint NOT NULL,
    email character varying(255) DEFAULT 'x'::character varying NOT NULL,
    created_at timestamp with time zone DEFAULT now()
);
ALTER TABLE public.users OWNER TO postgres;
CREATE TABLE public."Orders" (id bigint NOT NULL, buyer_id bigint NOT NULL);
COPY public.users (id, email) FROM stdin;
1	CREATE TABLE x (;
\.
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX orders_recent ON public."Orders" USING btree (buyer_id, id DESC) WHERE (buyer_id > 0);
ALTER TABLE ONLY public."Orders"
    ADD CONSTRAINT orders_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.users FOR SELECT TO app USING ((id = 1));
GRANT SELECT,INSERT ON TABLE public.users TO app;
CREATE MATERIALIZED VIEW shop.spent AS
 SELECT o.buyer_id, sum(o.total) AS total, max(o.id) FROM public."Orders" o GROUP BY o.buyer_id
  WITH NO DATA;
"#;

    #[test]
    fn a_dump_gives_tables_indexes_keys_and_policies() {
        let (catalog, coverage) = catalog(DUMP);
        assert_eq!(coverage.skipped, [], "{:?}", coverage.skipped);
        let users = catalog.lookup(None, "users").unwrap();
        assert!(users.row_security && users.has_unique(&["id"]));
        assert_eq!(users.column("email").unwrap().type_name, "character varying(255)");
        assert_eq!(users.policies[0].roles, ["app"]);
        assert_eq!(users.granted_to, ["app"]);
        let orders = catalog.lookup(Some("public"), "Orders").unwrap();
        assert_eq!(orders.foreign_keys[0].references, users.name);
        let index = &orders.indexes[0];
        assert!(
            index.def.keys[1].descending
                && index.def.keys[1].nulls_first
                && index.def.predicate.is_some()
        );
        assert_eq!(catalog.extensions, ["pg_trgm"]);
        // Which schemas are searched stands in no dump: a name that only one table has is that table's.
        let spent = catalog.lookup(None, "spent").unwrap();
        let columns: Vec<&str> = spent.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((spent.is_indexable(), columns), (true, vec!["buyer_id", "total", "max"]));
    }

    #[test]
    fn a_dump_that_stands_twice_in_a_file_is_read_once() {
        let (once, _) = catalog(DUMP);
        let (twice, _) = catalog(&DUMP.repeat(2));
        assert_eq!(format!("{once:?}"), format!("{twice:?}"));
    }

    #[test]
    fn what_cannot_be_read_is_counted_with_its_line() {
        let (catalog, coverage) =
            catalog("CREATE TABLE a (id int);\n\nCREATE TABLE ((;\nCREATE TABLE b (id int);");
        assert_eq!(catalog.tables.len(), 2);
        assert_eq!(coverage.skipped.len(), 1);
        assert!(coverage.skipped[0].example.starts_with("line 3"), "{:?}", coverage.skipped);
    }
}
