//! Shares the time of a trial among its statements.
//!
//! Every statement gets enough executions for its median, in their order as many as p95 needs while the
//! time lasts, and what is left over is shared evenly: quick statements cost next to nothing, and the
//! slow ones shall not keep them from their p95.

pub use crate::stats::bootstrap::FEWEST_ROUNDS;
/// Rounds after which a trial ends where work decides about all of its statements.
pub const FIRST_ROUNDS: usize = 3;
/// Executions of a statement in a round, at most: more rounds say more than longer ones.
const MOST_A_ROUND: usize = 15;
/// Executions that p95 needs, and one more.
pub const ENOUGH: usize = FEWEST_FOR_P95 + 1;
/// A budget that is a little short of them is stretched by this factor rather than wasted.
pub const STRETCH: f64 = 2.0;
/// The first statement matters most: for it, the budget is stretched by this factor.
pub const FIRST_STRETCH: f64 = 6.0;

/// The executions of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    pub rounds: usize,
    /// For each statement that takes part, its executions in each arm.
    pub executions: Vec<usize>,
    /// Places of the statements that the time does not suffice for, ascending.
    pub left_out: Vec<usize>,
}

/// Shares `budget_s` among statements; one execution of each in all arms takes `seconds`. Where the time does not
/// suffice for the fewest rounds that the clock needs, it may for the few in which work decides.
pub fn share(seconds: &[f64], wanted_rounds: usize, budget_s: f64) -> Shares {
    let rounds = wanted_rounds.max(FEWEST_ROUNDS);
    let mut left_out = Vec::new();
    let mut kept: Vec<f64> = Vec::new();
    let mut executions: Vec<usize> = Vec::new();
    let mut spent_s = 0.0;
    for (at, own_s) in seconds.iter().map(|own_s| own_s.max(1e-6)).enumerate() {
        let stretch = if at == 0 { FIRST_STRETCH } else { STRETCH };
        let is_affordable = |number: &usize| spent_s + own_s * *number as f64 <= stretch * budget_s;
        match [FEWEST_ROUNDS, FIRST_ROUNDS].into_iter().find(is_affordable) {
            Some(number) => {
                spent_s += own_s * number as f64;
                kept.push(own_s);
                executions.push(number);
            }
            None => left_out.push(at),
        }
    }
    for (own_s, executions) in kept.iter().zip(&mut executions) {
        let more_s = own_s * (ENOUGH - *executions) as f64;
        if spent_s + more_s <= STRETCH * budget_s {
            spent_s += more_s;
            *executions = ENOUGH;
        }
    }
    let even_s = (budget_s - spent_s).max(0.0) / kept.len().max(1) as f64;
    for (own_s, executions) in kept.iter().zip(&mut executions) {
        let more = (even_s / own_s) as usize;
        *executions = (*executions + more).min((rounds * MOST_A_ROUND).max(*executions));
    }
    let rounds = rounds.min(executions.iter().copied().max().unwrap_or(rounds));
    Shares { rounds, executions, left_out }
}

/// Executions in an arm from which on p95 has a one-sided 95 % bound at all: 0.95^59 < 0.05.
pub const FEWEST_FOR_P95: usize = 59;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_statement_does_not_keep_quick_ones_from_their_p95() {
        let shares = share(&[0.5, 0.001, 0.002], 20, 10.0);
        assert_eq!(shares.left_out, Vec::<usize>::new());
        assert!((FEWEST_ROUNDS..ENOUGH).contains(&shares.executions[0]), "{shares:?}");
        assert!(shares.executions[1..].iter().all(|n| *n >= ENOUGH), "{shares:?}");
    }

    #[test]
    fn what_leaves_no_time_for_the_others_is_left_out_and_the_first_only_when_it_takes_a_multiple()
    {
        let shares = share(&[2.0, 0.1, 40.0], 20, 3.0);
        assert_eq!((shares.executions.len(), shares.left_out), (1, vec![1, 2]));
        // Three executions, which are enough where work decides, and not eight.
        let shares = share(&[5.0, 0.1], 20, 3.0);
        assert_eq!((shares.executions, shares.left_out), (vec![3], vec![1]));
        let shares = share(&[0.1, 40.0, 0.1], 20, 3.0);
        assert_eq!((shares.executions.len(), shares.left_out), (2, vec![1]));
        let shares = share(&[30.0, 0.1], 20, 3.0);
        assert_eq!((shares.executions.len(), shares.left_out), (1, vec![0]));
    }

    #[test]
    fn the_time_is_spent_and_not_more_than_stretched() {
        for (seconds, budget_s) in
            [(vec![0.02; 4], 10.0), (vec![0.3; 4], 20.0), (vec![0.001, 0.9, 0.05], 20.0)]
        {
            let shares = share(&seconds, 20, budget_s);
            let spent_s: f64 =
                seconds.iter().zip(&shares.executions).map(|(own_s, n)| own_s * *n as f64).sum();
            assert!(
                spent_s <= STRETCH * budget_s && spent_s > 0.5 * budget_s.min(4.0),
                "{shares:?} {spent_s}"
            );
        }
    }
}
