//! The FROM clause: tables, joins, and join conditions.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FromTable, Ident, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr, Statement,
    TableFactor, TableWithJoins, Visit, Visitor,
};

use super::expr_walk::conjuncts;
use super::resolver::Resolver;
use super::scope::{Origin, Outputs, Relation, RelationSource, Scope, fold, last_name, part};
use crate::model::catalog::{Table, TableKind};
use crate::model::name::TableName;
use crate::model::workload::shape::{Join, Key, Lookup, Scan};
use crate::sql::parse::parser::parse;

/// Views inside of views that are looked into: a definition that names itself has no end.
const MOST_VIEWS: usize = 16;

/// The relation that a statement names first, or writes to; `None` where it is no name of a relation.
fn leading(statement: &Statement) -> Option<&ObjectName> {
    let first = match statement {
        Statement::Query(query) => return leading_of(query),
        Statement::Update(update) => &update.table.relation,
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            &from.first()?.relation
        }
        Statement::Merge(merge) => &merge.table,
        _ => return None,
    };
    leftmost(first)
}

fn leading_of(query: &Query) -> Option<&ObjectName> {
    let first = match &*query.body {
        SetExpr::Select(select) => leftmost(&select.from.first()?.relation)?,
        SetExpr::Update(statement) | SetExpr::Delete(statement) => leading(statement)?,
        _ => return None,
    };
    let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
    // That of a CTE hides a relation's.
    let is_cte = ctes
        .map(|cte| fold(&cte.alias.name))
        .any(|cte| first.0.len() == 1 && first.0.first().and_then(part).as_ref() == Some(&cte));
    (!is_cte).then_some(first)
}

/// What the queries in a statement name first that the planner plans by themselves, and numbers their relations from
/// one: the value of an expression, and what a `LIMIT` or locks keep from being merged into the query around it
/// (`is_simple_subquery` in PostgreSQL's `prepjointree.c`).
fn leading_apart(statement: &Statement) -> Vec<ObjectName> {
    #[derive(Default)]
    struct Apart {
        found: Vec<ObjectName>,
        depth: usize,
        /// The next query is the value of an expression.
        is_value: bool,
    }
    impl Visitor for Apart {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.is_value = matches!(expr, Expr::Subquery(_));
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let is_apart = std::mem::take(&mut self.is_value)
                || query.limit_clause.is_some()
                || query.fetch.is_some()
                || !query.locks.is_empty();
            let is_outermost = self.depth == 0;
            self.depth += 1;
            if let Some(first) = leading_of(query).filter(|_| is_apart && !is_outermost) {
                self.found.push(first.clone());
            }
            ControlFlow::Continue(())
        }
    }
    // That of an UPDATE or DELETE is no query; all in it are.
    let depth = usize::from(!matches!(statement, Statement::Query(_)));
    let mut apart = Apart { depth, ..Apart::default() };
    let _ = statement.visit(&mut apart);
    apart.found
}

fn leftmost(factor: &TableFactor) -> Option<&ObjectName> {
    match factor {
        TableFactor::Table { name, args: None, .. } => Some(name),
        TableFactor::NestedJoin { table_with_joins, .. } => leftmost(&table_with_joins.relation),
        _ => None,
    }
}

/// The scans behind relations, those inside of derived tables as far as their columns come out of them.
pub(super) fn scans_of(relations: &[Relation]) -> Vec<usize> {
    let of = |relation: &Relation| match &relation.source {
        RelationSource::Scan(scan) => vec![*scan],
        RelationSource::Derived(outputs) => {
            outputs.iter().filter_map(|(_, origin)| Some(origin.as_ref()?.0)).collect()
        }
        RelationSource::Opaque => Vec::new(),
    };
    relations.iter().flat_map(of).collect()
}

impl Resolver<'_> {
    /// See [`Shape::first`](crate::model::workload::shape::Shape::first).
    pub(super) fn first(&self, statement: &Statement) -> Option<TableName> {
        let table = self.named(leading(statement)?)?;
        let is_one = match table.kind {
            TableKind::Table => !table.inherited,
            kind => kind == TableKind::MaterializedView,
        };
        let scans = &self.shape.scans;
        let count = scans.iter().filter(|scan| scan.table == table.name).count();
        let is_it = |name: &ObjectName| self.named(name).is_some_and(|own| own.name == table.name);
        let is_once = count == 1
            || count == 1 + leading_apart(statement).into_iter().filter(|name| is_it(name)).count();
        // A view that was not understood may read it again.
        let is_sure = scans.iter().all(|scan| scan.known);
        (is_one && is_once && is_sure).then(|| table.name.clone())
    }

    /// The table of this name.
    fn named(&self, name: &ObjectName) -> Option<&Table> {
        let parts: Vec<String> = name.0.iter().filter_map(part).collect();
        let (name, qualifier) = parts.split_last()?;
        self.catalog?.lookup(qualifier.last().map(String::as_str), name)
    }

    pub(super) fn from(&mut self, from: &[TableWithJoins], scope: &mut Scope<'_>) {
        for item in from {
            self.factor(&item.relation, scope, None);
            for join in &item.joins {
                let first_joined = scope.relations.len();
                self.factor(&join.relation, scope, None);
                self.join(&join.join_operator, scope, first_joined);
            }
        }
    }

    /// The condition of one join; relations from `first_joined` on are its right side.
    fn join(&mut self, operator: &JoinOperator, scope: &Scope<'_>, first_joined: usize) {
        use JoinOperator as Op;
        let (constraint, keeps_left, keeps_right) = match operator {
            Op::Join(c) | Op::Inner(c) | Op::CrossJoin(c) | Op::StraightJoin(c) => {
                (c, false, false)
            }
            Op::Left(c) | Op::LeftOuter(c) => (c, true, false),
            Op::Right(c) | Op::RightOuter(c) => (c, false, true),
            Op::FullOuter(c) => (c, true, true),
            _ => return,
        };
        match constraint {
            JoinConstraint::On(condition) => {
                self.reads(condition, scope);
                if !keeps_left && !keeps_right {
                    self.reduce_outer_joins(Some(condition), scope);
                }
                let right: Vec<usize> = scope.relations[first_joined..]
                    .iter()
                    .filter_map(|r| {
                        if let RelationSource::Scan(scan) = r.source { Some(scan) } else { None }
                    })
                    .collect();
                for conjunct in conjuncts(condition) {
                    // A condition on the side that an outer join keeps does not filter that side.
                    self.conjunct(conjunct, scope, &|scan| {
                        if right.contains(&scan) { !keeps_right } else { !keeps_left }
                    });
                }
            }
            JoinConstraint::Using(columns) => {
                for column in columns.iter().filter_map(last_name) {
                    self.using(&column, scope, first_joined);
                }
            }
            JoinConstraint::Natural => {
                for column in self.columns_of(&scope.relations[first_joined..]) {
                    self.using(&column, scope, first_joined);
                }
            }
            JoinConstraint::None => {}
        }
        // Not before: the condition of the join itself is one of the rows.
        let (left, right) = scope.relations.split_at(first_joined.min(scope.relations.len()));
        if keeps_left {
            self.nullable_scans.extend(scans_of(right));
        }
        if keeps_right {
            self.nullable_scans.extend(scans_of(left));
        }
    }

    /// Names of the columns of some relations, as far as the catalog knows them.
    fn columns_of(&self, relations: &[Relation]) -> Vec<String> {
        let of = |relation: &Relation| match &relation.source {
            RelationSource::Scan(scan) => {
                let table = self.catalog.and_then(|c| c.table(&self.shape.scans[*scan].table));
                table.map_or(Vec::new(), |t| t.columns.iter().map(|c| c.name.clone()).collect())
            }
            RelationSource::Derived(outputs) => {
                outputs.iter().map(|(name, _)| name.clone()).collect()
            }
            RelationSource::Opaque => Vec::new(),
        };
        relations.iter().flat_map(of).collect()
    }

    fn using(&mut self, column: &str, scope: &Scope<'_>, first_joined: usize) {
        let ident = Expr::Identifier(Ident::new(column));
        let side = |relations: &[Relation]| {
            relations.iter().find_map(|relation| {
                let alone = Scope {
                    relations: vec![Relation {
                        alias: relation.alias.clone(),
                        source: match &relation.source {
                            RelationSource::Scan(scan) => RelationSource::Scan(*scan),
                            RelationSource::Derived(outputs) => {
                                RelationSource::Derived(outputs.clone())
                            }
                            RelationSource::Opaque => RelationSource::Opaque,
                        },
                    }],
                    ctes: Vec::new(),
                    parent: None,
                };
                alone.column(&ident, &self.shape.scans, self.catalog)
            })
        };
        let (left, right) = scope.relations.split_at(first_joined.min(scope.relations.len()));
        let (own, other) = match (side(left), side(right)) {
            (Some(left), Some(right)) => {
                self.read(left.clone());
                self.read(right.clone());
                return self.link(left, right, &scans_of(&scope.relations));
            }
            (Some(own), None) => (own, right),
            (None, Some(own)) => (own, left),
            (None, None) => return,
        };
        let is_scan = |relation: &Relation| matches!(relation.source, RelationSource::Scan(_));
        if !other.iter().all(is_scan) {
            let lookup = Lookup {
                key: Key::Column(own.1.clone()),
                for_few: other.iter().all(Relation::is_of_few),
            };
            self.shape.scans[own.0].lookups.push(lookup);
            self.read(own);
        }
    }

    /// An equality between two columns; `own` are the scans of the query that it stands in.
    pub(super) fn link(&mut self, left: Origin, right: Origin, own: &[usize]) {
        if left.0 == right.0 {
            return;
        }
        for (here, there) in [(&left, &right), (&right, &left)] {
            self.shape.scans[here.0].joins.push(Join {
                column: here.1.clone(),
                other_scan: there.0,
                other_column: there.1.clone(),
                outer: own.contains(&here.0) && !own.contains(&there.0),
            });
        }
    }

    pub(super) fn factor(
        &mut self,
        factor: &TableFactor,
        scope: &mut Scope<'_>,
        alias: Option<String>,
    ) {
        match factor {
            TableFactor::Table { name, alias: own, args, .. } => {
                let own = own.as_ref().map(|a| fold(&a.name)).or(alias);
                if args.is_some() {
                    self.subqueries(args, scope);
                    self.shape.reads_function = true;
                    let alias = own.or_else(|| last_name(name)).unwrap_or_default();
                    scope.relations.push(Relation { alias, source: RelationSource::Opaque });
                } else {
                    self.table(name, own, scope);
                }
            }
            TableFactor::Derived { lateral, subquery, alias: own, .. } => {
                let outputs = if *lateral {
                    self.query(subquery, Some(scope))
                } else {
                    self.query(subquery, scope.parent)
                };
                let alias = own.as_ref().map(|a| fold(&a.name)).unwrap_or_default();
                scope.relations.push(Relation { alias, source: RelationSource::Derived(outputs) });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.from(std::slice::from_ref(table_with_joins), scope);
            }
            TableFactor::Function { alias: own, name, args, .. } => {
                self.subqueries(args, scope);
                self.shape.reads_function = true;
                let alias = own.as_ref().map(|a| fold(&a.name)).or_else(|| last_name(name));
                scope.relations.push(Relation {
                    alias: alias.unwrap_or_default(),
                    source: RelationSource::Opaque,
                });
            }
            TableFactor::TableFunction { alias: own, .. }
            | TableFactor::UNNEST { alias: own, .. } => {
                self.subqueries(factor, scope);
                let alias = own.as_ref().map(|a| fold(&a.name)).unwrap_or_default();
                scope.relations.push(Relation { alias, source: RelationSource::Opaque });
            }
            _ => scope
                .relations
                .push(Relation { alias: String::new(), source: RelationSource::Opaque }),
        }
    }

    /// Resolves the definition of a view as if it stood in the statement; `None` for a relation that is no view,
    /// or whose definition is unknown or not understood.
    fn view(&mut self, view: &Table) -> Option<Outputs> {
        let definition = view.definition.as_ref()?;
        if self.views >= MOST_VIEWS {
            return None;
        }
        let Ok(Statement::Query(query)) = parse(definition) else { return None };
        self.views += 1;
        let mut outputs = self.query(&query, None);
        self.views -= 1;
        for (output, column) in outputs.iter_mut().zip(&view.columns) {
            output.0.clone_from(&column.name);
        }
        Some(outputs)
    }

    pub(super) fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<String>,
        scope: &mut Scope<'_>,
    ) {
        let parts: Vec<String> = name.0.iter().filter_map(part).collect();
        let Some((table, qualifier)) = parts.split_last() else { return };
        let schema = qualifier.last().map(String::as_str);
        let alias = alias.unwrap_or_else(|| table.clone());
        if schema.is_none()
            && let Some(outputs) = scope.cte(table)
        {
            let source = RelationSource::Derived(outputs.clone());
            scope.relations.push(Relation { alias, source });
            return;
        }
        let known = self.catalog.and_then(|catalog| catalog.lookup(schema, table));
        if let Some(outputs) = known.and_then(|view| self.view(view)) {
            scope.relations.push(Relation { alias, source: RelationSource::Derived(outputs) });
            return;
        }
        let name = known.map_or_else(
            // Without a catalog `public` is the guess that the server itself makes most often.
            || TableName::new(schema.unwrap_or("public"), table),
            |table| table.name.clone(),
        );
        let known = known.is_some_and(|table| table.kind != TableKind::View);
        self.shape.scans.push(Scan { known, ..Scan::of(name) });
        let source = RelationSource::Scan(self.shape.scans.len() - 1);
        scope.relations.push(Relation { alias, source });
    }
}
