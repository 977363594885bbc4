//! Durations of many executions in one bounded histogram.

use hdrhistogram::Histogram;

/// Largest duration kept apart, microseconds: one day. Longer ones count as this.
const LONGEST_US: u64 = 86_400_000_000;
/// Two significant digits: a bucket is at most 1 % wide, and a histogram at most 40 KB.
const SIGNIFICANT_DIGITS: u8 = 2;

/// An HDR histogram of durations in microseconds. Merging is exact: associative and commutative.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    histogram: Histogram<u64>,
    total_us: u128,
}

impl Durations {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, SIGNIFICANT_DIGITS)
            .unwrap_or_else(|_| unreachable!("the bounds are constants and in range"));
        Durations { histogram, total_us: 0 }
    }

    pub fn record(&mut self, duration_us: u64) {
        self.histogram.saturating_record(duration_us);
        self.total_us += u128::from(duration_us);
    }

    pub fn merge(&mut self, other: &Durations) {
        // Both have the same bounds, so no value of one is out of range of the other.
        let _ = self.histogram.add(&other.histogram);
        self.total_us += other.total_us;
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Exact sum of what was recorded, microseconds.
    pub fn total_us(&self) -> u64 {
        u64::try_from(self.total_us).unwrap_or(u64::MAX)
    }

    /// Longest recorded, microseconds, to the histogram's precision.
    pub fn max_us(&self) -> u64 {
        self.histogram.max()
    }

    /// The value below which `quantile` (0 to 1) of the executions lie, microseconds.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// Non-empty buckets as (highest value in the bucket in microseconds, count).
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        self.histogram
            .iter_recorded()
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
            .collect()
    }
}

impl Default for Durations {
    fn default() -> Self {
        Durations::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent_and_the_total_is_exact() {
        let mut durations = Durations::new();
        (1..=10_000).for_each(|us| durations.record(us));
        let p95 = durations.quantile_us(0.95) as f64;
        assert!((p95 - 9_500.0).abs() <= 95.0, "p95 was {p95}");
        assert_eq!(durations.total_us(), 50_005_000);
    }

    #[test]
    fn a_merge_equals_recording_everything_in_one() {
        let (mut left, mut right, mut whole) =
            (Durations::new(), Durations::new(), Durations::new());
        for us in [1, 0, 77, 90_000, u64::MAX] {
            left.record(us);
            whole.record(us);
        }
        for us in [5, 5_000_000] {
            right.record(us);
            whole.record(us);
        }
        left.merge(&right);
        assert_eq!(left, whole);
    }
}
