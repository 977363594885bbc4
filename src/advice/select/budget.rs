//! The limits on new indexes, and how much of them a set uses.

use crate::advice::cost::what_if::Set;
use crate::advice::input::Limits;

/// Part of a budget that is kept free: by so much all indexes together may be larger than estimated.
const SIZE_ERROR: f64 = 0.01;

/// A candidate as the selection sees it.
#[derive(Debug, Clone)]
pub struct Priced {
    pub size_bytes: f64,
    /// The same, less the indexes whose place it takes.
    pub net_bytes: f64,
    /// It takes the place of an index that is there.
    pub is_rebuild: bool,
    /// Its write overhead, in the units of [`crate::advice::cost::statement_weight::WeightedStatement::weight`].
    pub upkeep: f64,
    /// The same, less that of the indexes whose place it takes.
    pub net_upkeep: f64,
    /// The time that it has to save because of writes that were not counted, in the same units.
    pub unseen_writes: f64,
    /// Positions in the list of statements that it can matter to.
    pub statements: Vec<usize>,
    /// Of these, the statements that an existing index of the same table serves; ascending.
    pub beside: Vec<usize>,
    /// Candidates that do all that it does, or of which it does all. No two of these are chosen: the one would be
    /// advised to be dropped for the other.
    pub rivals: Set,
}

/// Room for all new indexes together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    pub bytes: Option<f64>,
    pub indexes: Option<usize>,
    /// In the units of [`Priced::upkeep`].
    pub upkeep: Option<f64>,
}

impl Budget {
    /// The room that limits leave where all writes take `writes_us` now.
    pub fn of(limits: Limits, writes_us: f64) -> Budget {
        Budget {
            bytes: limits.budget_bytes.map(|bytes| bytes as f64 * (1.0 - SIZE_ERROR)),
            indexes: limits.max_indexes,
            upkeep: limits.max_write_overhead_pct.map(|pct| writes_us * pct / 100.0),
        }
    }

    /// Room for more or less of everything.
    pub fn times(&self, part: f64) -> Budget {
        let whole = |indexes: f64| if part > 1.0 { indexes.ceil() } else { indexes.floor() };
        Budget {
            bytes: self.bytes.map(|bytes| bytes * part),
            indexes: self.indexes.map(|indexes| whole(indexes as f64 * part) as usize),
            upkeep: self.upkeep.map(|upkeep| upkeep * part),
        }
    }

    /// The shares of the budget that an index uses.
    pub fn used_by(&self, priced: &Priced) -> f64 {
        let part =
            |use_: f64, budget: Option<f64>| budget.map_or(0.0, |budget| use_ / budget.max(1e-9));
        part(priced.size_bytes, self.bytes)
            + part(1.0, self.indexes.map(|most| most as f64))
            + part(priced.upkeep, self.upkeep)
    }

    pub fn holds(&self, taken: Taken) -> bool {
        let within = |used: f64, budget: Option<f64>| budget.is_none_or(|budget| used <= budget);
        self.indexes.is_none_or(|most| taken.indexes <= most)
            && within(taken.bytes, self.bytes)
            && within(taken.upkeep, self.upkeep)
    }
}

/// The room that a set takes up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    bytes: f64,
    /// In the units of [`Priced::upkeep`].
    upkeep: f64,
    pub net_upkeep: f64,
    /// In the units of [`Priced::unseen_writes`].
    pub unseen_writes: f64,
    indexes: usize,
}

impl Taken {
    pub fn with(self, priced: &Priced) -> Taken {
        Taken {
            bytes: self.bytes + priced.size_bytes,
            upkeep: self.upkeep + priced.upkeep,
            net_upkeep: self.net_upkeep + priced.net_upkeep,
            unseen_writes: self.unseen_writes + priced.unseen_writes,
            indexes: self.indexes + 1,
        }
    }

    pub fn without(self, priced: &Priced) -> Taken {
        Taken {
            bytes: self.bytes - priced.size_bytes,
            upkeep: self.upkeep - priced.upkeep,
            net_upkeep: self.net_upkeep - priced.net_upkeep,
            unseen_writes: self.unseen_writes - priced.unseen_writes,
            indexes: self.indexes - 1,
        }
    }
}
