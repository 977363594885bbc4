//! The order of executions in a round: random, and repeatable from the seed.

use std::ops::Range;

use crate::stats::random::Random;

/// The three sides of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmName {
    Before,
    After,
    /// Before once more: what the same statement differs from itself.
    Control,
}

pub const ARMS: [ArmName; 3] = [ArmName::Before, ArmName::After, ArmName::Control];

/// Executions of which one has a control, where that is rare.
const CONTROL_OF: usize = 3;

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledExecution {
    pub query: usize,
    pub parameters: usize,
    pub arm: ArmName,
    /// The same for the arms that stand next to each other.
    pub turn: usize,
}

/// The executions of one round: for each statement and each of its parameter sets, all three arms next
/// to each other in random order, so that whatever else the machine does falls on all alike.
///
/// `(number, rounds)` is the round and how many there are. `sets[q]` is the number of parameter sets of
/// statement `q`; its executions with the numbers `executions[q]` are spread evenly over the rounds, and the next
/// round goes on with the parameters where this one stops. Of those in `rare_control`, the control runs with one
/// execution of three: work decides about them, and it only shows the noise.
pub fn round(
    (number, rounds): (usize, usize),
    sets: &[usize],
    executions: &[Range<usize>],
    rare_control: &[bool],
    random: &mut Random,
) -> Vec<ScheduledExecution> {
    let until = |number: usize, all: &Range<usize>| all.start + number * all.len() / rounds;
    let mut pairs: Vec<(usize, usize, bool)> = sets
        .iter()
        .zip(executions)
        .enumerate()
        .filter(|(_, (count, _))| **count > 0)
        .flat_map(|(query, (count, executions))| {
            let own = until(number, executions)..until(number + 1, executions);
            let is_rare = rare_control.get(query) == Some(&true);
            own.map(move |n| (query, n % count, !is_rare || n.is_multiple_of(CONTROL_OF)))
        })
        .collect();
    random.shuffle(&mut pairs);
    let mut slots = Vec::with_capacity(3 * pairs.len());
    for (turn, (query, parameters, has_control)) in pairs.into_iter().enumerate() {
        let mut arms = ARMS;
        random.shuffle(&mut arms);
        let arms = arms.into_iter().filter(|arm| has_control || *arm != ArmName::Control);
        slots.extend(arms.map(|arm| ScheduledExecution { query, parameters, arm, turn }));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One statement with so many executions.
    fn once(executions: usize) -> Vec<Range<usize>> {
        std::iter::once(0..executions).collect()
    }

    #[test]
    fn every_arm_runs_the_same_parameters_next_to_each_other() {
        let slots = round((3, 4), &[4, 0, 1], &[0..8, 0..8, 3..11], &[], &mut Random::new(5));
        assert_eq!(slots.len(), 2 * 2 * 3);
        for three in slots.chunks(3) {
            assert!(
                three
                    .iter()
                    .all(|s| (s.query, s.parameters) == (three[0].query, three[0].parameters))
            );
            assert!(ARMS.iter().all(|arm| three.iter().any(|slot| slot.arm == *arm)));
        }
        assert!(slots.iter().all(|slot| slot.query != 1));
    }

    #[test]
    fn a_rare_control_runs_with_one_execution_of_three() {
        let slots = round((0, 1), &[4], &once(9), &[true], &mut Random::new(5));
        let of = |arm: ArmName| slots.iter().filter(|slot| slot.arm == arm).count();
        assert_eq!([ArmName::Before, ArmName::After, ArmName::Control].map(of), [9, 9, 3]);
    }

    #[test]
    fn rounds_walk_through_all_parameters_and_repeat_from_the_seed() {
        let mut random = Random::new(1);
        let seen: std::collections::BTreeSet<usize> = (0..5)
            .flat_map(|number| round((number, 5), &[10], &once(10), &[], &mut random))
            .map(|slot| slot.parameters)
            .collect();
        assert_eq!(seen.len(), 10);
        assert_eq!(
            round((0, 3), &[9, 9], &[0..9, 4..9], &[], &mut Random::new(7)),
            round((0, 3), &[9, 9], &[0..9, 4..9], &[], &mut Random::new(7))
        );
    }

    #[test]
    fn fewer_executions_than_rounds_are_spread_over_them() {
        let mut random = Random::new(1);
        let counts: Vec<usize> = (0..20)
            .map(|number| round((number, 20), &[3], &once(8), &[], &mut random).len() / ARMS.len())
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 8);
        assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
    }
}
