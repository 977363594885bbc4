//! Compares the work of executions without and with a change: the blocks and rows that they touched.
//!
//! Work is the same however busy the machine is. Parameter sets are compared one by one, since a change may serve
//! some of them and not others.

use crate::model::trial::{Work, WorkPairs};

/// How the work with the change compares with the work without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkChange {
    /// It falls by a multiple.
    Less,
    /// It rises by a multiple.
    More,
    /// The plans have the same nodes and touch as much.
    Same,
    /// It moves by less than a multiple, or blocks and rows move apart, or it is not known.
    Unclear,
}

/// The work of some parameter sets falls by a multiple, and that of none rises by one.
pub fn is_less_for_some(work: &WorkPairs) -> bool {
    matches!(moved(work), (1.., 0))
}

/// Parameter sets whose work falls by a multiple, and those whose work rises by one.
fn moved(work: &WorkPairs) -> (usize, usize) {
    let less = work.pairs.iter().filter(|(before, after)| is_less(*before, *after));
    let more = work.pairs.iter().filter(|(before, after)| is_less(*after, *before));
    (less.count(), more.count())
}

fn is_less(from: Work, to: Work) -> bool {
    from.is_multiple_of(to) && to.is_within(from)
}

/// Compares both sides: as a whole, and by most of the parameter sets where no other set moves the other way.
pub fn work_change(work: &WorkPairs) -> WorkChange {
    let Some((before, after)) = work.mean() else { return WorkChange::Unclear };
    let (less, more) = moved(work);
    let is_most = |number: usize| 2 * number >= work.pairs.len();
    if more == 0 && less > 0 && (is_most(less) || is_less(before, after)) {
        return WorkChange::Less;
    }
    if less == 0 && more > 0 && (is_most(more) || is_less(after, before)) {
        return WorkChange::More;
    }
    let is_same = |pair: &(Work, Work)| pair.0.is_within(pair.1) && pair.1.is_within(pair.0);
    match work.same_nodes && work.pairs.iter().all(is_same) {
        true => WorkChange::Same,
        false => WorkChange::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[[u64; 4]], same_nodes: bool) -> WorkPairs {
        let work = |blocks, rows| Work { blocks, rows };
        let pairs = pairs.iter().map(|[a, b, c, d]| (work(*a, *b), work(*c, *d))).collect();
        WorkPairs { pairs, same_nodes }
    }

    fn change(of: &[[u64; 4]], same_nodes: bool) -> WorkChange {
        work_change(&pairs(of, same_nodes))
    }

    #[test]
    fn a_multiple_counts_and_a_few_blocks_do_not() {
        assert_eq!(change(&[[308, 40_000, 2, 3]], false), WorkChange::Less);
        assert_eq!(change(&[[2, 3, 308, 40_000]], false), WorkChange::More);
        assert_eq!(change(&[[7, 12, 2, 12]], true), WorkChange::Same);
        assert_eq!(change(&[[7, 12, 2, 12]], false), WorkChange::Unclear);
        assert_eq!(change(&[[1_253, 900, 1_100, 900]], false), WorkChange::Unclear);
        assert_eq!(change(&[], true), WorkChange::Unclear);
    }

    #[test]
    fn blocks_and_rows_that_move_apart_are_left_to_the_clock() {
        assert_eq!(change(&[[100, 60_000, 400, 900]], false), WorkChange::Unclear);
        // Fewer rows in about as many blocks is less work.
        assert_eq!(change(&[[100, 60_000, 108, 900]], false), WorkChange::Less);
    }

    #[test]
    fn most_parameter_sets_decide_unless_another_moves_the_other_way() {
        let (less, same, more) = ([900, 0, 3, 0], [50_000, 0, 50_000, 0], [3, 0, 900, 0]);
        assert_eq!(change(&[less, less, same], false), WorkChange::Less);
        assert_eq!(change(&[less, same, same, same], false), WorkChange::Unclear);
        assert!(is_less_for_some(&pairs(&[less, same, same, same], false)));
        assert!(!is_less_for_some(&pairs(&[less, same, same, more], false)));
        assert!(!is_less_for_some(&pairs(&[same, same], false)));
        assert_eq!(change(&[less, less, more], false), WorkChange::Unclear);
    }
}
