//! The values of one literal position over all executions, in bounded memory.

use super::literal::Literal;

/// Distinct values kept a position: enough to tell a constant and a small set from a key.
pub const MOST_VALUES: usize = 16;

/// A sketch of the values at one `$n` of a normalized text.
///
/// Keeps the distinct values with the smallest hashes, and exact counts of those (Bar-Yossef et al.,
/// *Counting distinct elements in a data stream*, 2002). Which values are kept depends on the
/// values alone, so that sketches merge: in any order, to the same result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// Executions in which the position held a value that was seen.
    pub seen: u64,
    /// Executions in which the position was a list of more than one element.
    pub lists: u64,
    /// Elements of all those lists.
    pub elements: u64,
    /// By hash.
    kept: Vec<Kept>,
}

/// A value, how often it came, and the hash it is kept by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub hash: u64,
    pub count: u64,
    pub value: Literal,
}

impl Values {
    /// Counts one value; `value` is asked for only when it has to be kept. At most `most` distinct
    /// values stay.
    pub fn add(&mut self, hash: u64, most: usize, value: impl FnOnce() -> Literal) {
        self.seen += 1;
        self.keep(hash, 1, most, value);
    }

    fn keep(&mut self, hash: u64, count: u64, most: usize, value: impl FnOnce() -> Literal) {
        match self.kept.binary_search_by_key(&hash, |kept| kept.hash) {
            Ok(at) => self.kept[at].count = self.kept[at].count.saturating_add(count),
            Err(at) if at < most => {
                self.kept.insert(at, Kept { hash, count, value: value() });
                self.kept.truncate(most);
            }
            Err(_) => {}
        }
    }

    /// The parts of a sketch, as they were written.
    pub fn from_parts(seen: u64, lists: u64, elements: u64, mut kept: Vec<Kept>) -> Values {
        kept.sort_by_key(|kept| kept.hash);
        Values { seen, lists, elements, kept }
    }

    /// The kept values, by hash.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Forgets all but the `most` values with the smallest hashes.
    pub fn shrink(&mut self, most: usize) {
        self.kept.truncate(most);
    }

    pub fn merge(&mut self, other: Values, most: usize) {
        self.seen = self.seen.saturating_add(other.seen);
        self.lists = self.lists.saturating_add(other.lists);
        self.elements = self.elements.saturating_add(other.elements);
        for kept in other.kept {
            self.keep(kept.hash, kept.count, most, || kept.value);
        }
        self.kept.truncate(most);
    }

    /// The one value the position always had; `None` when it varied or was seen fewer than twice.
    pub fn constant(&self) -> Option<&Literal> {
        match self.kept.as_slice() {
            [only] if only.count == self.seen && only.count > 1 => Some(&only.value),
            _ => None,
        }
    }

    /// Distinct values; an estimate where not all could be kept.
    pub fn distinct(&self) -> u64 {
        match self.kept.last() {
            Some(last) if self.kept.len() > 2 && self.kept_count() < self.seen => {
                // k values lie within this part of all possible hashes.
                let share = (last.hash as f64 / u64::MAX as f64).max(f64::MIN_POSITIVE);
                (((self.kept.len() - 1) as f64 / share) as u64)
                    .clamp(self.kept.len() as u64, self.seen)
            }
            _ => self.kept.len() as u64,
        }
    }

    fn kept_count(&self) -> u64 {
        self.kept.iter().fold(0, |sum, kept| sum.saturating_add(kept.count))
    }

    /// The kept values with their counts, most frequent first.
    pub fn counts(&self) -> Vec<(&Literal, u64)> {
        let mut counts: Vec<_> = self.kept.iter().map(|kept| (&kept.value, kept.count)).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        counts
    }

    /// Mean number of elements of the lists the position held; `None` where it never held one.
    pub fn mean_elements(&self) -> Option<f64> {
        (self.lists > 0).then(|| self.elements as f64 / self.lists as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        (n + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn values(numbers: impl Iterator<Item = u64>) -> Values {
        let mut values = Values::default();
        numbers.for_each(|n| values.add(hash(n), MOST_VALUES, || Literal::text(n.to_string())));
        values
    }

    #[test]
    fn halves_merge_to_the_whole_in_any_order() {
        let whole = values((0..3_000).map(|n| n % 100));
        let parts =
            || [values((0..1_000).map(|n| n % 100)), values((1_000..3_000).map(|n| n % 100))];
        let [mut one, two] = parts();
        one.merge(two, MOST_VALUES);
        let [three, mut four] = parts();
        four.merge(three, MOST_VALUES);
        assert_eq!(one, whole);
        assert_eq!(four, whole);
        assert!((50..200).contains(&whole.distinct()), "{}", whole.distinct());
    }

    #[test]
    fn a_constant_and_a_small_set_are_exact() {
        assert_eq!(values([7, 7, 7].into_iter()).constant().and_then(Literal::expose), Some("7"));
        assert_eq!(values([7].into_iter()).constant(), None);
        let set = values([1, 2, 2, 3].into_iter());
        assert_eq!((set.constant(), set.distinct(), set.counts()[0].1), (None, 3, 2));
    }
}
