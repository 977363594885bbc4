//! Durations of many executions in bounded memory.

use hdrhistogram::Histogram;

/// Largest duration kept apart, microseconds: one day. Longer ones count as this.
const LONGEST_US: u64 = 86_400_000_000;
/// Two significant digits: a bucket is at most 1 % wide.
const SIGNIFICANT_DIGITS: u8 = 2;
/// Durations kept one by one. A log may hold a hundred thousand distinct statements, most of them
/// with few executions; a histogram for each would take gigabytes.
const SINGLES: usize = 64;

/// Durations in microseconds: the first few one by one, more in an HDR histogram.
///
/// Merging is exact: associative, commutative, and equal to recording everything in one.
#[derive(Debug, Clone)]
pub struct Durations {
    kept: Kept,
    total_us: u128,
}

#[derive(Debug, Clone)]
enum Kept {
    Singles(Vec<u64>),
    Histogram(Box<Histogram<u64>>),
}

impl Durations {
    pub fn new() -> Self {
        Durations { kept: Kept::Singles(Vec::new()), total_us: 0 }
    }

    pub fn record(&mut self, duration_us: u64) {
        self.total_us += u128::from(duration_us);
        self.keep(duration_us, 1);
    }

    fn keep(&mut self, duration_us: u64, count: u64) {
        match &mut self.kept {
            Kept::Singles(singles) if singles.len() as u64 + count <= SINGLES as u64 => {
                singles.extend(std::iter::repeat_n(duration_us, count as usize));
            }
            Kept::Singles(singles) => {
                let mut histogram = histogram(singles);
                add(&mut histogram, duration_us, count);
                self.kept = Kept::Histogram(Box::new(histogram));
            }
            Kept::Histogram(histogram) => add(histogram, duration_us, count),
        }
    }

    /// From counts of values and the exact total, as [`Durations::counts`] gave them.
    pub fn from_counts(counts: &[(u64, u64)], total_us: u128) -> Durations {
        let mut durations = Durations::new();
        counts.iter().for_each(|(value, count)| durations.keep(*value, *count));
        durations.total_us = total_us;
        durations
    }

    /// Values with their counts, ascending: the same for all that was recorded in any order.
    pub fn counts(&self) -> (Vec<(u64, u64)>, u128) {
        let counts = match &self.kept {
            Kept::Singles(singles) => {
                let mut counts: std::collections::BTreeMap<u64, u64> = Default::default();
                singles.iter().for_each(|single| *counts.entry(*single).or_default() += 1);
                counts.into_iter().collect()
            }
            Kept::Histogram(_) => self.buckets(),
        };
        (counts, self.total_us)
    }

    pub fn merge(&mut self, other: &Durations) {
        self.total_us += other.total_us;
        match &other.kept {
            Kept::Singles(singles) => singles.iter().for_each(|single| self.keep(*single, 1)),
            Kept::Histogram(theirs) => {
                let mut whole = match &self.kept {
                    Kept::Singles(singles) => histogram(singles),
                    Kept::Histogram(ours) => ours.as_ref().clone(),
                };
                // Both resize themselves, so no value of one is out of range of the other.
                let _ = whole.add(theirs.as_ref());
                self.kept = Kept::Histogram(Box::new(whole));
            }
        }
    }

    pub fn count(&self) -> u64 {
        match &self.kept {
            Kept::Singles(singles) => singles.len() as u64,
            Kept::Histogram(histogram) => histogram.len(),
        }
    }

    /// Exact sum of what was recorded, microseconds.
    pub fn total_us(&self) -> u64 {
        u64::try_from(self.total_us).unwrap_or(u64::MAX)
    }

    /// Longest recorded, microseconds, to the histogram's precision.
    pub fn max_us(&self) -> u64 {
        self.whole().max()
    }

    /// The value below which `quantile` (0 to 1) of the executions lie, microseconds.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.whole().value_at_quantile(quantile)
    }

    /// Non-empty buckets as (highest value in the bucket in microseconds, count).
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        self.whole()
            .iter_recorded()
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
            .collect()
    }

    fn whole(&self) -> Histogram<u64> {
        match &self.kept {
            Kept::Singles(singles) => histogram(singles),
            Kept::Histogram(histogram) => histogram.as_ref().clone(),
        }
    }
}

/// Two values are equal if their buckets and totals are, whatever their representation.
impl PartialEq for Durations {
    fn eq(&self, other: &Durations) -> bool {
        self.total_us == other.total_us && self.buckets() == other.buckets()
    }
}

fn histogram(singles: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new(SIGNIFICANT_DIGITS)
        .unwrap_or_else(|_| unreachable!("the number of digits is a constant and in range"));
    singles.iter().for_each(|single| add(&mut histogram, *single, 1));
    histogram
}

fn add(histogram: &mut Histogram<u64>, duration_us: u64, count: u64) {
    // It resizes itself, so no value is out of range.
    let _ = histogram.record_n(duration_us.clamp(1, LONGEST_US), count);
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
        for most in [3, 70, 300] {
            let (mut left, mut right, mut whole) =
                (Durations::new(), Durations::new(), Durations::new());
            for us in [1, 0, 77, 90_000, u64::MAX].into_iter().chain(0..most) {
                left.record(us);
                whole.record(us);
            }
            for us in [5, 5_000_000] {
                right.record(us);
                whole.record(us);
            }
            let mut turned = right.clone();
            turned.merge(&left);
            left.merge(&right);
            assert_eq!(left, whole);
            assert_eq!(turned, whole);
        }
    }
}
