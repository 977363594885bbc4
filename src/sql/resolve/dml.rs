//! INSERT, UPDATE, DELETE and MERGE: the target, the columns they write, and with what.

use sqlparser::ast::{AssignmentTarget, Insert, SetExpr, TableObject, Update, UpdateTableFromKind};

use super::expr_walk::slot_alone;
use super::resolver::Resolver;
use super::scope::{Outputs, Relation, RelationSource, Scope, last_name};

impl Resolver<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, parent: Option<&Scope<'_>>) -> Outputs {
        let mut scope = Scope::new(parent);
        if let TableObject::TableName(name) = &insert.table {
            self.table(name, None, &mut scope);
            let mut columns: Vec<String> = insert.columns.iter().filter_map(last_name).collect();
            if columns.is_empty() {
                columns = self.columns_of_target(&scope);
            }
            self.mark_target(&scope, &columns, inserted(insert, &columns));
        }
        match &insert.source {
            Some(source) => {
                self.query(source, parent);
                self.shape.single_row = matches!(*source.body, SetExpr::Values(_));
            }
            // INSERT … DEFAULT VALUES
            None => self.shape.single_row = true,
        }
        self.subqueries(&insert.on, &scope);
        self.returning(insert.returning.as_deref(), &scope)
    }

    pub(super) fn update(&mut self, update: &Update, parent: Option<&Scope<'_>>) -> Outputs {
        let mut scope = Scope::new(parent);
        self.from(std::slice::from_ref(&update.table), &mut scope);
        let columns: Vec<String> = update
            .assignments
            .iter()
            .flat_map(|assignment| match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    last_name(name).into_iter().collect::<Vec<_>>()
                }
                AssignmentTarget::Tuple(names) => names.iter().filter_map(last_name).collect(),
            })
            .collect();
        let assigned =
            update.assignments.iter().filter_map(|assignment| match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    Some((last_name(name)?, slot_alone(&assignment.value)?))
                }
                AssignmentTarget::Tuple(_) => None,
            });
        self.mark_target(&scope, &columns, assigned.collect());
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) =
            &update.from
        {
            self.from(from, &mut scope);
        }
        for assignment in &update.assignments {
            self.reads(&assignment.value, &scope);
            self.subqueries(&assignment.value, &scope);
        }
        self.filter(update.selection.as_ref(), &scope);
        self.returning(update.returning.as_deref(), &scope)
    }

    pub(super) fn mark_target(
        &mut self,
        scope: &Scope<'_>,
        written: &[String],
        assigned: Vec<(String, u16)>,
    ) {
        if let Some(Relation { source: RelationSource::Scan(scan), .. }) = scope.relations.first() {
            self.shape.scans[*scan].target = true;
            self.shape.scans[*scan].written = written.to_vec();
            self.shape.scans[*scan].assigned = assigned;
        }
    }

    /// An `INSERT` without a list of columns fills them in order.
    fn columns_of_target(&self, scope: &Scope<'_>) -> Vec<String> {
        let Some(Relation { source: RelationSource::Scan(scan), .. }) = scope.relations.first()
        else {
            return Vec::new();
        };
        let table = self.catalog.and_then(|c| c.table(&self.shape.scans[*scan].table));
        let columns = table.map(|table| table.columns.iter().map(|c| c.name.clone()).collect());
        columns.unwrap_or_default()
    }
}

/// Columns that an `INSERT` fills with a literal each, by its first row.
fn inserted(insert: &Insert, columns: &[String]) -> Vec<(String, u16)> {
    let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|query| &*query.body) else {
        return Vec::new();
    };
    let first = values.rows.first().into_iter().flat_map(|row| row.iter());
    columns
        .iter()
        .zip(first)
        .filter_map(|(column, value)| Some((column.clone(), slot_alone(value)?)))
        .collect()
}
