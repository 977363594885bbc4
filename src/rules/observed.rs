//! The statements and the catalog that loop detection and rules share.

use crate::model::catalog::{Catalog, Table};
use crate::model::workload::shape::{Scan, Shape};
use crate::model::workload::{Query, Workload};

/// The statements of a workload, and the catalog where there is one.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    pub workload: &'a Workload,
    pub catalog: Option<&'a Catalog>,
}

impl<'a> Observed<'a> {
    /// Every scan of every statement that was understood.
    pub fn scans(self) -> impl Iterator<Item = ScanOf<'a>> {
        self.workload.understood().flat_map(move |(query, shape)| {
            shape.scans.iter().map(move |scan| ScanOf {
                query,
                shape,
                scan,
                table: self.catalog.and_then(|catalog| catalog.table(&scan.table)),
            })
        })
    }
}

/// A scan of a base table by a statement, with the table where the catalog knows it.
pub struct ScanOf<'a> {
    pub query: &'a Query,
    pub shape: &'a Shape,
    pub scan: &'a Scan,
    pub table: Option<&'a Table>,
}

impl<'a> ScanOf<'a> {
    /// The scans that the alternatives of its conditions would make.
    pub fn alternatives(&self) -> impl Iterator<Item = ScanOf<'a>> {
        let ScanOf { query, shape, scan, table } = *self;
        scan.alternatives.iter().flatten().map(move |scan| ScanOf { query, shape, scan, table })
    }
}
