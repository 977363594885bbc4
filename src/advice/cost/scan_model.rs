//! Cost model for indexes that HypoPG cannot simulate: the table's scan is replaced by an index scan.

use std::rc::Rc;

use super::charge::charged;
use crate::model::catalog::Table;
use crate::model::plan::PlannedScan;
use crate::model::whatif::PlanCost;

/// Cost of a page read out of order, of one read in order, and of a row whose condition is checked again:
/// the planner's defaults.
const RANDOM_PAGE_COST: f64 = 4.0;
const PAGE_COST: f64 = 1.0;
const ROW_COST: f64 = 0.0125;
/// Cost of a look into an index that finds nothing: of GIN or GiST, the dearest.
const LOOK_COST: f64 = 30.0;

/// One statement with one such index.
#[derive(Debug, Clone)]
pub struct IndexScanModel {
    /// As [`relations`] gives them.
    relations: Rc<[String]>,
    /// Pages of the table.
    pages: f64,
    /// Rows that it finds, of which other conditions may leave fewer; as far as is known.
    finds: f64,
    /// Rows of the table, where it gives them by their distance, nearest first, until there are enough.
    nearest_of: Option<f64>,
    /// If it was built: the plan with it alone, and the cost of its scan.
    built: Option<(PlanCost, f64)>,
}

/// Returns a table's names in plans: its own, or those of its partitions.
pub fn relations(table: &Table) -> impl Iterator<Item = &str> {
    let names = match &table.partitions[..] {
        [] => std::slice::from_ref(&table.name),
        partitions => partitions,
    };
    names.iter().map(|name| &*name.name)
}

/// The charge of a statement, and whether it holds with this index alone.
#[derive(Debug, Clone, Copy)]
pub struct ModelledCost {
    pub charged: f64,
    pub is_alone: bool,
}

impl IndexScanModel {
    /// By a model; `None` where the size of the table is not known.
    pub fn modelled(table: &Table) -> Option<IndexScanModel> {
        let relations = relations(table).map(str::to_owned).collect();
        let pages = (table.size_bytes? as f64 / 8_192.0).max(1.0);
        Some(IndexScanModel { relations, pages, finds: 0.0, nearest_of: None, built: None })
    }

    /// The same where the index itself finds so many rows.
    pub fn finding(self, rows: f64) -> IndexScanModel {
        IndexScanModel { finds: rows, ..self }
    }

    /// The same where it gives the rows that are nearest to something, one after the other.
    pub fn nearest(self, table: &Table) -> IndexScanModel {
        IndexScanModel { nearest_of: table.rows, ..self }
    }

    /// As the planner saw it: `built` with the index and nothing else, `before` without it.
    pub fn built(table: &Table, built: PlanCost, before: &PlanCost) -> IndexScanModel {
        let none = IndexScanModel {
            relations: Rc::new([]),
            pages: 1.0,
            finds: 0.0,
            nearest_of: None,
            built: None,
        };
        let model = IndexScanModel::modelled(table).unwrap_or(none);
        let of = |planned: &PlanCost| model.scanned(planned).map_or(0.0, |(_, cost, _)| cost);
        // Where it is looked into for each row of something else, its scan costs as often.
        let rest = (before.full_cost - of(before)).max(0.0);
        let scan_cost = of(&built).max(built.full_cost - rest);
        IndexScanModel { built: Some((built, scan_cost)), ..model }
    }

    /// No planner said so.
    pub fn is_modelled(&self) -> bool {
        self.built.is_none()
    }

    /// Cost with it and nothing else, as the planner gave it.
    pub fn cost(&self) -> Option<f64> {
        self.built.as_ref().map(|(built, _)| built.cost)
    }

    /// Returns the charge of a statement with this plan; `None` where the plan does not scan the table.
    pub fn charged(&self, planned: &PlanCost) -> Option<ModelledCost> {
        let instead = self.instead(planned).map(|cost| {
            let planned = PlanCost { cost, full_cost: cost, ..PlanCost::default() };
            ModelledCost { charged: charged(&planned), is_alone: false }
        });
        let alone = self
            .built
            .as_ref()
            .map(|(built, _)| ModelledCost { charged: charged(built), is_alone: true });
        alone.into_iter().chain(instead).min_by(|a, b| a.charged.total_cmp(&b.charged))
    }

    /// Cost of the plan when its scan of the table is a look into the index: as it was built, or else that of a
    /// bitmap scan, whose pages are the cheaper the closer they lie (`cost_bitmap_heap_scan` in PostgreSQL's
    /// `costsize.c`).
    fn instead(&self, planned: &PlanCost) -> Option<f64> {
        let (rows, cost, scans) = self.scanned(planned)?;
        let rest = (planned.full_cost - cost).max(0.0);
        if let Some((_, scan_cost)) = &self.built {
            return Some(rest + scan_cost);
        }
        if let Some(of) = self.nearest_of {
            // Of the rows it comes by as many are left as meet the other conditions; each lies on a page of its own.
            let passed = planned.rows * (of / rows.max(1.0)).max(1.0);
            return Some(scans * LOOK_COST + passed * (RANDOM_PAGE_COST + ROW_COST));
        }
        let (all, rows) = (self.pages, rows.max(self.finds));
        let pages = (2.0 * all * rows / (2.0 * all + rows)).min(all);
        let page_cost = RANDOM_PAGE_COST - (RANDOM_PAGE_COST - PAGE_COST) * (pages / all).sqrt();
        Some(rest + scans * LOOK_COST + pages * page_cost + rows * ROW_COST)
    }

    /// Rows and cost of the scans of the table, and how many there are: one, or one of each partition that the
    /// planner did not leave out.
    fn scanned(&self, planned: &PlanCost) -> Option<(f64, f64, f64)> {
        let is_of_table = |scan: &&PlannedScan| self.relations.contains(&scan.relation);
        let seen: Vec<&PlannedScan> = planned.scans.iter().filter(is_of_table).collect();
        let sum = |of: fn(&PlannedScan) -> f64| seen.iter().map(|scan| of(scan)).sum::<f64>();
        (!seen.is_empty())
            .then(|| (sum(|scan| scan.rows), sum(|scan| scan.cost), seen.len() as f64))
    }
}
