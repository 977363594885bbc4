//! Resolves names to relations, at one place in a statement.

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart};

use crate::model::catalog::Catalog;
use crate::model::workload::shape::Scan;

/// A column of a scan: index into the shape's scans, and the column's name.
pub type Origin = (usize, String);

/// The columns a sub-query gives, with where each comes from.
pub type Outputs = Vec<(String, Option<Origin>)>;

/// Something that stands in a `FROM` list.
pub struct Relation {
    pub alias: String,
    pub source: RelationSource,
}

impl Relation {
    /// It has few rows beside a table.
    pub fn is_of_few(&self) -> bool {
        match &self.source {
            RelationSource::Scan(_) => false,
            // Written-out values, and a recursion inside of itself, give columns that nothing names.
            RelationSource::Derived(outputs) => outputs.is_empty(),
            RelationSource::Opaque => true,
        }
    }
}

pub enum RelationSource {
    /// Index into the shape's scans.
    Scan(usize),
    /// A sub-query or a CTE.
    Derived(Outputs),
    /// A function or something else whose columns are not known.
    Opaque,
}

/// The relations that names can refer to; the outer query's come after our own.
pub struct Scope<'p> {
    pub relations: Vec<Relation>,
    pub ctes: Vec<(String, Outputs)>,
    pub parent: Option<&'p Scope<'p>>,
}

impl<'p> Scope<'p> {
    pub fn new(parent: Option<&'p Scope<'p>>) -> Self {
        Scope { relations: Vec::new(), ctes: Vec::new(), parent }
    }

    pub fn cte(&self, name: &str) -> Option<&Outputs> {
        let own =
            self.ctes.iter().rev().find(|(known, _)| known == name).map(|(_, outputs)| outputs);
        own.or_else(|| self.parent.and_then(|parent| parent.cte(name)))
    }

    /// The column an expression names, if it is nothing but a column.
    pub fn column(&self, expr: &Expr, scans: &[Scan], catalog: Option<&Catalog>) -> Option<Origin> {
        match expr {
            Expr::Nested(inner) => self.column(inner, scans, catalog),
            Expr::Identifier(ident) => self.bare(&fold(ident), scans, catalog),
            Expr::CompoundIdentifier(parts) => {
                let (column, qualifier) = parts.split_last()?;
                self.qualified(&fold(qualifier.last()?), &fold(column))
            }
            _ => None,
        }
    }

    /// The name is of something that has few rows beside a table.
    pub fn is_of_few(&self, name: &Expr) -> bool {
        let qualifier = match name {
            Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1).map(fold),
            _ => None,
        };
        let is_meant = |relation: &&Relation| {
            qualifier.as_ref().is_none_or(|qualifier| relation.alias == *qualifier)
        };
        let mut meant = self.relations.iter().filter(is_meant).peekable();
        match (meant.peek(), self.parent) {
            (None, Some(parent)) => parent.is_of_few(name),
            _ => meant.any(Relation::is_of_few),
        }
    }

    fn qualified(&self, alias: &str, column: &str) -> Option<Origin> {
        match self.relations.iter().find(|relation| relation.alias == alias) {
            Some(Relation { source: RelationSource::Scan(scan), .. }) => {
                Some((*scan, column.to_owned()))
            }
            Some(Relation { source: RelationSource::Derived(outputs), .. }) => {
                find_output(outputs, column)
            }
            Some(Relation { source: RelationSource::Opaque, .. }) => None,
            None => self.parent?.qualified(alias, column),
        }
    }

    /// An unqualified column: the one relation that has it, or that may have it.
    fn bare(&self, column: &str, scans: &[Scan], catalog: Option<&Catalog>) -> Option<Origin> {
        let mut maybe = Vec::new();
        for relation in &self.relations {
            match &relation.source {
                RelationSource::Scan(scan) => {
                    let table = catalog.and_then(|catalog| catalog.table(&scans[*scan].table));
                    match table {
                        Some(table) if table.column(column).is_some() => {
                            return Some((*scan, column.to_owned()));
                        }
                        Some(_) => {}
                        None => maybe.push(Some((*scan, column.to_owned()))),
                    }
                }
                RelationSource::Derived(outputs) => {
                    if outputs.iter().any(|(name, _)| name == column) {
                        return find_output(outputs, column);
                    }
                }
                RelationSource::Opaque => maybe.push(None),
            }
        }
        match maybe.len() {
            // Not one of ours: a correlated column of the outer query.
            0 => self.parent?.bare(column, scans, catalog),
            1 => maybe.pop()?,
            _ => None,
        }
    }
}

fn find_output(outputs: &Outputs, column: &str) -> Option<Origin> {
    outputs.iter().find(|(name, _)| name == column).and_then(|(_, origin)| origin.clone())
}

/// An identifier as the catalog spells it: lower case unless quoted.
pub fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

pub(crate) fn part(part: &ObjectNamePart) -> Option<String> {
    match part {
        ObjectNamePart::Identifier(ident) => Some(fold(ident)),
        ObjectNamePart::Function(_) => None,
    }
}

/// The last part of a name: the table or the column.
pub fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(part)
}
