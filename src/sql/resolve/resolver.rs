//! Resolves a statement to its shape: which tables it scans, with which predicates, joins and order.

use std::collections::HashSet;

use sqlparser::ast::{
    Cte, Distinct, Expr, FromTable, LimitClause, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, Statement, Visit,
};

use super::aggregate::{aggregates, extreme};
use super::expr_walk::{conjuncts, functions, names, slots, subqueries};
use super::from_clause::scans_of;
use super::predicate::{Conjunct, classify, key};
use super::scope::{Outputs, Relation, RelationSource, Scope, fold};
use crate::model::catalog::Catalog;
use crate::model::workload::shape::{Operator, Predicate, Scan, Shape, SortKey, StatementKind};
use crate::sql::lex::lexer::tokens;
use crate::sql::parse::parser::{ParseError, parse};
use crate::sql::parse::utility::is_utility;

/// The shape of a normalized statement.
///
/// With a catalog, unqualified names resolve as the server would; without one, a column of a
/// statement over several tables stays unresolved unless it is qualified.
///
/// # Errors
/// When the statement cannot be parsed. Nothing else fails: what is not understood is left out.
pub fn shape(normalized: &str, catalog: Option<&Catalog>) -> Result<Shape, ParseError> {
    if is_utility(normalized) {
        return Ok(empty(StatementKind::Utility));
    }
    let statement = parse(normalized)?;
    let kind = match &statement {
        Statement::Query(_) => StatementKind::Select,
        Statement::Insert(_) => StatementKind::Insert,
        Statement::Update(_) => StatementKind::Update,
        Statement::Delete(_) => StatementKind::Delete,
        Statement::Merge(_) => StatementKind::Merge,
        _ => return Ok(empty(StatementKind::Utility)),
    };
    let mut resolver = Resolver {
        catalog,
        shape: empty(kind),
        alternatives: Vec::new(),
        nullable_scans: HashSet::new(),
        depth: 0,
        views: 0,
    };
    resolver.shape.functions = functions(&statement);
    resolver.shape.writes = kind != StatementKind::Select;
    resolver.statement(&statement, None);
    resolver.shape.first = resolver.first(&statement);
    resolver.add_or_arms();
    Ok(resolver.shape)
}

/// Nothing that is NULL meets it.
fn is_strict(predicate: &Predicate) -> bool {
    // They have a value where their arguments have none.
    const LENIENT: [&str; 4] = ["coalesce", "concat", "concat_ws", "num_nulls"];
    let is_lenient =
        |sql: &str| tokens(sql).any(|token| LENIENT.iter().any(|name| token.is_word(name)));
    predicate.operator != Operator::IsNull && !is_lenient(predicate.key.sql())
}

fn empty(kind: StatementKind) -> Shape {
    Shape {
        kind,
        scans: Vec::new(),
        first: None,
        functions: Vec::new(),
        reads_function: false,
        locks_rows: false,
        single_row: false,
        writes: false,
        conditional: false,
        limited: false,
        grouped: false,
        offsets: Vec::new(),
    }
}

pub(super) struct Resolver<'c> {
    pub(super) catalog: Option<&'c Catalog>,
    pub(super) shape: Shape,
    /// Scans of which a condition names alternatives, each with its filters.
    alternatives: Vec<(usize, Vec<Vec<Predicate>>)>,
    /// Scans for whose rows an outer join may put NULLs: what holds of these says nothing of the rows.
    pub(super) nullable_scans: HashSet<usize>,
    /// Nesting of queries; the outermost is 1.
    depth: usize,
    /// Nesting of views.
    pub(super) views: usize,
}

impl Resolver<'_> {
    /// Adds the scans that alternatives would make, now that all other filters are known.
    fn add_or_arms(&mut self) {
        for (scan, alternatives) in std::mem::take(&mut self.alternatives) {
            let whole = &mut self.shape.scans[scan];
            let alone = |mut filters: Vec<Predicate>| {
                filters.extend(whole.filters.iter().cloned());
                let written = whole.written.clone();
                let (known, target) = (whole.known, whole.target);
                Scan { filters, known, target, written, ..Scan::of(whole.table.clone()) }
            };
            let scans = alternatives.into_iter().map(alone).collect();
            whole.alternatives.push(scans);
        }
    }

    fn statement(&mut self, statement: &Statement, parent: Option<&Scope<'_>>) -> Outputs {
        match statement {
            Statement::Query(query) => return self.query(query, parent),
            Statement::Insert(insert) => return self.insert(insert, parent),
            Statement::Update(update) => return self.update(update, parent),
            Statement::Delete(delete) => {
                let mut scope = Scope::new(parent);
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &delete.from;
                self.from(from, &mut scope);
                self.mark_target(&scope, &[], Vec::new());
                if let Some(using) = &delete.using {
                    self.from(using, &mut scope);
                }
                self.filter(delete.selection.as_ref(), &scope);
                return self.returning(delete.returning.as_deref(), &scope);
            }
            Statement::Merge(merge) => {
                let mut scope = Scope::new(parent);
                self.factor(&merge.table, &mut scope, None);
                self.mark_target(&scope, &[], Vec::new());
                self.factor(&merge.source, &mut scope, None);
                self.filter(Some(&merge.on), &scope);
                self.subqueries(&merge.clauses, &scope);
                self.subqueries(&merge.output, &scope);
            }
            _ => {}
        }
        Outputs::new()
    }

    pub(super) fn returning(&mut self, items: Option<&[SelectItem]>, scope: &Scope<'_>) -> Outputs {
        items.map(|items| self.projection(items, scope)).unwrap_or_default()
    }

    pub(super) fn query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> Outputs {
        self.depth += 1;
        let mut scope = Scope::new(parent);
        if let Some(with) = &query.with {
            if with.recursive {
                // They may name themselves and one another, and are no tables there.
                let names = with.cte_tables.iter().map(|cte| fold(&cte.alias.name));
                scope.ctes.extend(names.map(|name| (name, Outputs::new())));
            }
            for cte in &with.cte_tables {
                let outputs = self.cte(cte, &scope);
                scope.ctes.push((fold(&cte.alias.name), outputs));
            }
        }
        self.shape.locks_rows |= !query.locks.is_empty();
        let order_by: &[OrderByExpr] = match query.order_by.as_ref().map(|order_by| &order_by.kind)
        {
            Some(OrderByKind::Expressions(keys)) => keys,
            _ => &[],
        };
        if let Some(LimitClause::LimitOffset { offset: Some(offset), .. }) = &query.limit_clause {
            self.shape.offsets.extend(slots(&offset.value));
        }
        if self.depth == 1 {
            self.shape.limited = is_limited(query);
        }
        let outputs = self.set_expr(&query.body, &scope, order_by, is_limited(query));
        self.depth -= 1;
        outputs
    }

    fn cte(&mut self, cte: &Cte, scope: &Scope<'_>) -> Outputs {
        let mut outputs = self.query(&cte.query, Some(scope));
        for (output, column) in outputs.iter_mut().zip(&cte.alias.columns) {
            output.0 = fold(&column.name);
        }
        outputs
    }

    fn set_expr(
        &mut self,
        body: &SetExpr,
        parent: &Scope<'_>,
        order_by: &[OrderByExpr],
        limited: bool,
    ) -> Outputs {
        match body {
            SetExpr::Select(select) => self.select(select, parent, order_by, limited),
            SetExpr::Query(query) => self.query(query, Some(parent)),
            SetExpr::SetOperation { left, right, .. } => {
                let outputs = self.set_expr(left, parent, &[], false);
                self.set_expr(right, parent, &[], false);
                // Columns of a union come from several tables; only their names are kept.
                outputs.into_iter().map(|(name, _)| (name, None)).collect()
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => {
                self.shape.writes = true;
                self.statement(statement, Some(parent))
            }
            SetExpr::Values(values) => {
                self.subqueries(values, parent);
                Outputs::new()
            }
            SetExpr::Table(_) => Outputs::new(),
        }
    }

    fn select(
        &mut self,
        select: &Select,
        parent: &Scope<'_>,
        order_by: &[OrderByExpr],
        limited: bool,
    ) -> Outputs {
        self.shape.writes |= select.into.is_some();
        let mut scope = Scope::new(Some(parent));
        self.from(&select.from, &mut scope);
        self.filter(select.selection.as_ref(), &scope);
        if let Some(having) = &select.having {
            self.reads(having, &scope);
            self.subqueries(having, &scope);
        }
        self.reads(&select.group_by, &scope);
        self.reads(&select.distinct, &scope);
        order_by.iter().for_each(|item| self.reads(&item.expr, &scope));
        let outputs = self.projection(&select.projection, &scope);
        let grouped = !matches!(&select.group_by,
            sqlparser::ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if self.depth == 1 {
            self.shape.single_row = !grouped && aggregates(&select.projection);
            self.shape.conditional |= select.selection.is_some() || select.having.is_some();
            self.shape.grouped |= grouped || select.distinct.is_some();
        }
        // The first row of each group comes in the order that is asked for.
        if !grouped && !matches!(select.distinct, Some(Distinct::Distinct)) {
            self.sort(order_by, &scope, limited);
        }
        if let ([Relation { source: RelationSource::Scan(scan), .. }], false) =
            (&scope.relations[..], grouped)
        {
            let extreme = extreme(&select.projection);
            let of = extreme.and_then(|of| key(&of, &scope, &self.shape.scans, self.catalog));
            self.shape.scans[*scan].extreme = of.map(|(_, key)| key);
        }
        if order_by.is_empty() && limited && !grouped {
            for relation in &scope.relations {
                if let RelationSource::Scan(scan) = relation.source {
                    self.shape.scans[scan].limited = true;
                }
            }
        }
        outputs
    }

    fn projection(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Outputs {
        let mut outputs = Outputs::new();
        for item in items {
            self.reads(item, scope);
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.subqueries(expr, scope);
                    let origin = scope.column(expr, &self.shape.scans, self.catalog);
                    let name = match (&origin, expr) {
                        (_, Expr::Identifier(ident)) => fold(ident),
                        (_, Expr::CompoundIdentifier(parts)) => {
                            parts.last().map(fold).unwrap_or_default()
                        }
                        _ => String::new(),
                    };
                    outputs.push((name, origin));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.subqueries(expr, scope);
                    outputs
                        .push((fold(alias), scope.column(expr, &self.shape.scans, self.catalog)));
                }
                SelectItem::Wildcard(_) => self.wildcard(None, scope, &mut outputs),
                SelectItem::QualifiedWildcard(kind, _) => {
                    let name = kind.to_string();
                    let alias = name.trim_end_matches(".*").trim_matches('"').to_owned();
                    self.wildcard(Some(&alias), scope, &mut outputs);
                }
                SelectItem::ExprWithAliases { expr, .. } => self.subqueries(expr, scope),
            }
        }
        if self.depth == 1 {
            for (scan, column) in outputs.iter().filter_map(|(_, origin)| origin.clone()) {
                let known = &mut self.shape.scans[scan].outputs;
                if !known.contains(&column) {
                    known.push(column);
                }
            }
        }
        outputs
    }

    /// All columns of one relation or of all: by name where the catalog knows them, else as `*`.
    fn wildcard(&mut self, alias: Option<&str>, scope: &Scope<'_>, outputs: &mut Outputs) {
        for relation in
            scope.relations.iter().filter(|r| alias.is_none_or(|alias| r.alias == alias))
        {
            match &relation.source {
                RelationSource::Scan(scan) => {
                    self.shape.scans[*scan].whole_row |= self.depth == 1;
                    self.read((*scan, "*".to_owned()));
                    let table = self.catalog.and_then(|c| c.table(&self.shape.scans[*scan].table));
                    match table {
                        Some(table) => outputs.extend(
                            table
                                .columns
                                .iter()
                                .map(|c| (c.name.clone(), Some((*scan, c.name.clone())))),
                        ),
                        None => outputs.push(("*".to_owned(), Some((*scan, "*".to_owned())))),
                    }
                }
                RelationSource::Derived(derived) => outputs.extend(derived.iter().cloned()),
                RelationSource::Opaque => {}
            }
        }
    }

    pub(super) fn filter(&mut self, condition: Option<&Expr>, scope: &Scope<'_>) {
        self.reduce_outer_joins(condition, scope);
        for conjunct in condition.into_iter().flat_map(conjuncts) {
            self.reads(conjunct, scope);
            self.conjunct(conjunct, scope, &|_| true);
        }
    }

    /// A condition that no NULL meets undoes an outer join: rows without a partner do not come through.
    pub(super) fn reduce_outer_joins(&mut self, condition: Option<&Expr>, scope: &Scope<'_>) {
        if self.nullable_scans.is_empty() {
            return;
        }
        for conjunct in condition.into_iter().flat_map(conjuncts) {
            match classify(conjunct, scope, &self.shape.scans, self.catalog) {
                Conjunct::Filter { scan, predicate } if is_strict(&predicate) => {
                    self.nullable_scans.remove(&scan);
                }
                Conjunct::Join { left, right } => {
                    self.nullable_scans.remove(&left.0);
                    self.nullable_scans.remove(&right.0);
                }
                Conjunct::SemiJoin { left, .. } => {
                    self.nullable_scans.remove(&left.0);
                }
                _ => {}
            }
        }
    }

    /// Notes the columns that a clause names. Those inside of its sub-queries are noted where these are
    /// resolved.
    pub(super) fn reads(&mut self, node: &impl Visit, scope: &Scope<'_>) {
        for name in names(node) {
            if let Some(origin) = scope.column(&name, &self.shape.scans, self.catalog) {
                self.read(origin);
            }
        }
    }

    /// Notes that a column is read; `*` stands for all of them.
    pub(super) fn read(&mut self, (scan, column): (usize, String)) {
        let scan = &mut self.shape.scans[scan];
        let table = self.catalog.and_then(|catalog| catalog.table(&scan.table));
        let named = match table {
            Some(table) if column == "*" => table.columns.iter().map(|c| c.name.clone()).collect(),
            _ => vec![column],
        };
        for column in named {
            if !scan.columns.contains(&column) {
                scan.columns.push(column);
            }
        }
    }

    pub(super) fn conjunct(
        &mut self,
        conjunct: &Expr,
        scope: &Scope<'_>,
        filters: &dyn Fn(usize) -> bool,
    ) {
        match classify(conjunct, scope, &self.shape.scans, self.catalog) {
            Conjunct::Filter { scan, predicate } => {
                if filters(scan) && self.is_of_rows(scan, &predicate) {
                    self.shape.scans[scan].filters.push(predicate);
                }
                self.subqueries(conjunct, scope);
            }
            Conjunct::Alternatives { scan, filters: alternatives } => {
                let mut all = alternatives.iter().flatten();
                if filters(scan) && all.all(|predicate| self.is_of_rows(scan, predicate)) {
                    self.alternatives.push((scan, alternatives));
                }
                self.subqueries(conjunct, scope);
            }
            Conjunct::Join { left, right } => {
                self.link(left, right, &scans_of(&scope.relations));
            }
            Conjunct::Lookups(found) => {
                for (scan, lookup) in found {
                    self.shape.scans[scan].lookups.push(lookup);
                }
                self.subqueries(conjunct, scope);
            }
            Conjunct::SemiJoin { left, subquery } => {
                let outputs = self.query(subquery, Some(scope));
                match outputs.into_iter().next().and_then(|(_, origin)| origin) {
                    Some(origin) => self.link(left, origin, &[]),
                    None if filters(left.0) => {
                        let key = crate::model::workload::shape::Key::Column(left.1);
                        let predicate = Predicate {
                            key,
                            operator: Operator::In,
                            slots: Vec::new(),
                            sql: String::new(),
                        };
                        self.shape.scans[left.0].filters.push(predicate);
                    }
                    None => {}
                }
            }
            Conjunct::Other => self.subqueries(conjunct, scope),
        }
    }

    /// The condition says something of the rows of the scan, and not whether there is one at all: in
    /// `LEFT JOIN b … WHERE b.id IS NULL` it is what is missing that meets it.
    fn is_of_rows(&self, scan: usize, predicate: &Predicate) -> bool {
        is_strict(predicate) || !self.nullable_scans.contains(&scan)
    }

    /// Visits every query inside an expression or a clause, with our names in sight.
    pub(super) fn subqueries(&mut self, node: &impl Visit, scope: &Scope<'_>) {
        for query in subqueries(node) {
            self.query(&query, Some(scope));
        }
    }

    fn sort(&mut self, order_by: &[OrderByExpr], scope: &Scope<'_>, limited: bool) {
        let mut owner = None;
        let mut keys = Vec::new();
        for item in order_by {
            let Some((scan, key)) = key(&item.expr, scope, &self.shape.scans, self.catalog) else {
                return;
            };
            if *owner.get_or_insert(scan) != scan {
                return;
            }
            let descending = matches!(item.options.sort, Some(sqlparser::ast::OrderBySort::Desc));
            // The server's default: nulls last ascending, first descending.
            let nulls_first = item.options.nulls_first.unwrap_or(descending);
            keys.push(SortKey { key, descending, nulls_first });
        }
        if let Some(scan) = owner {
            self.shape.scans[scan].sort = keys;
            self.shape.scans[scan].limited = limited;
        }
    }
}

fn is_limited(query: &Query) -> bool {
    let by_clause = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => limit.is_some(),
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
        None => false,
    };
    by_clause || query.fetch.is_some()
}
