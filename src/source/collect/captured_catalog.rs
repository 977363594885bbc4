//! The catalog that is stored with a workload.

use serde::{Deserialize, Serialize};

use crate::model::catalog::Catalog;

/// A catalog, and until when the workload beside it went: of two, the later one stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Captured {
    pub until_us: Option<i64>,
    pub catalog: Catalog,
}

impl PartialEq for Captured {
    fn eq(&self, other: &Captured) -> bool {
        self.until_us == other.until_us
    }
}

impl Eq for Captured {}

impl PartialOrd for Captured {
    fn partial_cmp(&self, other: &Captured) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Captured {
    fn cmp(&self, other: &Captured) -> std::cmp::Ordering {
        self.until_us.cmp(&other.until_us)
    }
}
