//! The input of a rule.

use std::cell::OnceCell;

use super::loops::detect::find::{Loops, find};
use super::observed::{Observed, ScanOf};
use crate::access::policies::Access;
use crate::model::catalog::Catalog;
use crate::model::workload::Workload;

/// The input of a rule. Same input, same findings, same order.
pub struct Input<'a> {
    pub workload: &'a Workload,
    pub catalog: Option<&'a Catalog>,
    /// Found when the first rule asks: four rules look at the same loops.
    loops: OnceCell<Loops>,
    access: OnceCell<Option<Access<'a>>>,
}

impl<'a> Input<'a> {
    /// The statements of `workload` have to be resolved.
    pub fn new(workload: &'a Workload, catalog: Option<&'a Catalog>) -> Self {
        Input { workload, catalog, loops: OnceCell::new(), access: OnceCell::new() }
    }

    /// The statements and the catalog alone.
    pub fn observed(&self) -> Observed<'a> {
        Observed { workload: self.workload, catalog: self.catalog }
    }

    /// The loops in the timeline.
    pub fn loops(&self) -> &Loops {
        self.loops.get_or_init(|| find(self.observed()))
    }

    /// Who may reach which rows; `None` without a catalog.
    pub fn access(&self) -> Option<&Access<'a>> {
        self.access.get_or_init(|| self.catalog.map(Access::of)).as_ref()
    }

    /// Every scan of every statement that was understood.
    pub fn scans(&self) -> impl Iterator<Item = ScanOf<'a>> {
        self.observed().scans()
    }
}
