//! The condition that explains the rows somebody reached, and opens the fewest others.

use super::atoms::Atom;

/// One condition that explains all is taken instead of several that open this much less together.
const FEWER_WORDS: f64 = 4.0;

/// Rows that executions reached: for each group of rows that the same atoms explain, those atoms as bits, and the
/// number of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    pub rows: Vec<(u64, u64)>,
    pub executions: u64,
    /// Different users among them.
    pub actors: u64,
}

impl Evidence {
    pub fn reached(&self) -> u64 {
        self.rows.iter().map(|(_, count)| count).sum()
    }

    /// Rows that one of the atoms explains.
    pub fn explained(&self, chosen: &[usize]) -> u64 {
        let mask = chosen.iter().fold(0_u64, |mask, at| mask | (1 << at));
        self.rows.iter().filter(|(own, _)| own & mask != 0).map(|(_, count)| count).sum()
    }
}

/// The atoms, by position, whose disjunction explains all rows, as far as atoms do; each opens `open[at]` of the rows
/// of the table to an average actor (0 to 1).
///
/// A greedy cover by the rows that each opens: Chvátal, *A greedy heuristic for the set-covering problem*, 1979.
pub fn choose(atoms: &[Atom], open: &[f64], evidence: &Evidence) -> Vec<usize> {
    let all = evidence.reached();
    if all == 0 {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..atoms.len()).collect();
    order.sort_by(|a, b| open[*a].total_cmp(&open[*b]).then(a.cmp(b)));
    let mut chosen: Vec<usize> = Vec::new();
    for at in &order {
        let before = evidence.explained(&chosen);
        if before == all {
            break;
        }
        let with = [&chosen[..], &[*at]].concat();
        if evidence.explained(&with) > before {
            chosen = with;
        }
    }
    let covered = evidence.explained(&chosen);
    // What the others cover goes, the widest first.
    for at in order.iter().rev() {
        let without: Vec<usize> = chosen.iter().copied().filter(|own| own != at).collect();
        if without.len() < chosen.len() && evidence.explained(&without) == covered {
            chosen = without;
        }
    }
    let opened: f64 = chosen.iter().map(|at| open[*at]).sum();
    let single = order.iter().copied().find(|at| {
        atoms[*at].is_private()
            && evidence.explained(&[*at]) == covered
            && open[*at] <= opened * FEWER_WORDS
    });
    match single {
        Some(single) if chosen.len() > 1 => vec![single],
        _ => chosen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::acting::IdentityKind;

    fn owner(column: &str) -> Atom {
        Atom::Owner { column: column.to_owned(), identity: IdentityKind::User }
    }

    fn evidence(rows: &[(u64, u64)]) -> Evidence {
        Evidence { rows: rows.to_vec(), executions: 9, actors: 5 }
    }

    #[test]
    fn the_narrowest_conditions_that_explain_all_rows_are_chosen() {
        let atoms = [owner("buyer"), owner("seller"), Atom::Everything];
        let open = [0.01, 0.02, 1.0];
        // All rows are the buyer's; some are the seller's as well.
        assert_eq!(choose(&atoms, &open, &evidence(&[(0b101, 7), (0b111, 2)])), [0]);
        // Both parties reach rows.
        assert_eq!(choose(&atoms, &open, &evidence(&[(0b101, 7), (0b110, 2)])), [0, 1]);
        // Rows that are neither's are everybody's, and the others are covered by that.
        assert_eq!(choose(&atoms, &open, &evidence(&[(0b101, 7), (0b100, 2)])), [2]);
        assert!(choose(&atoms, &open, &evidence(&[])).is_empty());
    }

    #[test]
    fn one_condition_goes_before_several_that_open_little_less() {
        let atoms = [owner("a"), owner("b"), owner("shop"), Atom::Everything];
        let rows = evidence(&[(0b1101, 5), (0b1110, 5)]);
        assert_eq!(choose(&atoms, &[0.01, 0.01, 0.05, 1.0], &rows), [2]);
        assert_eq!(choose(&atoms, &[0.01, 0.01, 0.2, 1.0], &rows), [0, 1]);
    }
}
