//! Expected times of executions, and their time limits.
//!
//! A statement that takes half a minute without an index and a few milliseconds with it, or the other way round, has
//! to run often enough for a verdict, and not to its end: that it takes a multiple is known long before.

use super::time_budget::{FEWEST_ROUNDS, STRETCH};

/// Times that an execution takes as long on one side as on the other, from which on it may be stopped: it is at
/// least 95 % faster there, or twenty times as slow.
const CLEARLY: f64 = 20.0;
/// Times from which on a single execution tells that a statement may well be slower with the change.
const SLOWER: f64 = 2.0;

/// The duration of one execution, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Without the change, in both arms together.
    pub without_s: f64,
    /// With the change.
    pub with_s: f64,
    /// The limit that it was stopped at on one side, milliseconds.
    pub stopped_ms: Option<u64>,
}

impl Pace {
    /// With the change it took a multiple, as far as one execution tells.
    pub fn is_slower(&self) -> bool {
        self.with_s > SLOWER * self.once_without_s()
    }

    fn once_without_s(&self) -> f64 {
        self.without_s / 2.0
    }

    /// The time limit that lets it run as often as a verdict needs within `budget_s`, its part of the time of the
    /// trial, or as much longer as it has to be clearly above the time of the faster side, milliseconds; `None`
    /// where it needs none, or would end before.
    pub fn limit_ms(&self, budget_s: f64) -> Option<u64> {
        let affordable_s = budget_s / FEWEST_ROUNDS as f64;
        let once_without_s = self.once_without_s();
        let (affordable_s, faster_s, slower_s) = match self.with_s < once_without_s {
            true => ((affordable_s - self.with_s) / 2.0, self.with_s, once_without_s),
            false => (affordable_s - self.without_s, once_without_s, self.with_s),
        };
        let limit_s = affordable_s.max(CLEARLY * faster_s);
        let limit = (limit_s < slower_s).then_some((limit_s * 1e3) as u64);
        limit.filter(|ms| *ms > 0).or(self.stopped_ms)
    }

    /// The same with a time limit.
    pub fn within(&self, limit_ms: Option<u64>) -> f64 {
        let most_s = limit_ms.map_or(f64::INFINITY, |ms| ms as f64 / 1e3);
        self.without_s.min(2.0 * most_s) + self.with_s.min(most_s)
    }
}

/// The time limit of each statement of a trial: as if it were the only one, while there is time for all of them
/// then. Else each has its part of the time: two that never end would leave nothing to the others.
pub fn limits_ms(paces: &[Pace], budget_s: f64) -> Vec<Option<u64>> {
    let within = |budget_s: f64| -> Vec<Option<u64>> {
        paces.iter().map(|pace| pace.limit_ms(budget_s)).collect()
    };
    let alone = within(budget_s);
    let once_s: f64 = paces.iter().zip(&alone).map(|(pace, limit_ms)| pace.within(*limit_ms)).sum();
    if once_s * FEWEST_ROUNDS as f64 <= STRETCH * budget_s {
        return alone;
    }
    within(budget_s / paces.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::{Pace, limits_ms};

    #[test]
    fn only_what_takes_a_multiple_on_one_side_is_stopped() {
        let pace = |without_s, with_s| Pace { without_s, with_s, stopped_ms: None };
        // Eight executions in twenty seconds: two and a half for each in all arms.
        assert_eq!(pace(60.0, 0.01).limit_ms(20.0), Some(1_245));
        assert!(pace(60.0, 0.01).within(Some(1_245)) <= 2.5);
        assert_eq!(pace(60.0, 5.0).limit_ms(20.0), None);
        assert_eq!(pace(60.0, 0.1).limit_ms(20.0), Some(2_000));
        assert_eq!(pace(2.0, 0.01).limit_ms(20.0), None);
        // The other way round there is one execution of the slow side for two of the fast one.
        assert_eq!(pace(0.02, 30.0).limit_ms(20.0), Some(2_480));
        assert!(pace(0.02, 30.0).within(Some(2_480)) <= 2.5);
        assert_eq!(pace(0.4, 30.0).limit_ms(20.0), Some(4_000));
        assert_eq!(pace(10.0, 30.0).limit_ms(20.0), None);
        assert_eq!(pace(0.02, 2.0).limit_ms(20.0), None);
        // It never came to its end, so it never will.
        let stopped = Pace { without_s: 10.0, with_s: 2.0, stopped_ms: Some(5_000) };
        assert_eq!(stopped.limit_ms(20.0), Some(5_000));
        assert_eq!(stopped.within(Some(5_000)), 12.0);
        assert!(pace(1.0, 1.2).is_slower() && !pace(1.0, 0.9).is_slower());
    }

    #[test]
    fn two_that_never_end_leave_time_to_the_others() {
        let pace = |without_s, with_s| Pace { without_s, with_s, stopped_ms: None };
        let (endless, slow) = (pace(60.0, 0.01), pace(1.0, 0.5));
        assert_eq!(limits_ms(&[endless, slow], 20.0), [Some(1_245), None]);
        let limits = limits_ms(&[endless, endless, slow, slow], 20.0);
        assert_eq!(limits, [Some(307), Some(307), None, None]);
    }
}
