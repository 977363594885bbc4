//! The description of a rule.

use super::input::Input;
use crate::model::finding::Finding;

/// A detector.
pub struct Rule {
    /// Kebab-case; names the pattern, not the cure.
    pub id: &'static str,
    /// One line for the list of rules.
    pub summary: &'static str,
    /// The rule's requirements, in words.
    pub needs: &'static str,
    /// The page: text of `explain`, handbook and test at once.
    pub page: &'static str,
    pub find: fn(&Input<'_>) -> Vec<Finding>,
}
