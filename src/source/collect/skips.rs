//! Counts what was not read, with the place of the first of each kind.

use crate::model::workload::Coverage;

/// A line of a piece of the input; pieces are read side by side, so how many lines came before is
/// known only at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LinePlace {
    pub piece: u64,
    /// From 0.
    pub line: u64,
}

#[derive(Debug)]
struct Skip {
    reason: &'static str,
    count: u64,
    place: LinePlace,
}

/// By reason, in the order of the first of each.
#[derive(Debug, Default)]
pub struct Skips(Vec<Skip>);

impl Skips {
    pub fn add(&mut self, reason: &'static str, count: u64, place: LinePlace) {
        match self.0.iter_mut().find(|known| known.reason == reason) {
            Some(known) => {
                known.count = known.count.saturating_add(count);
                known.place = known.place.min(place);
            }
            None => self.0.push(Skip { reason, count, place }),
        }
    }

    pub fn merge(&mut self, other: Skips) {
        for skip in other.0 {
            self.add(skip.reason, skip.count, skip.place);
        }
    }

    /// Moves everything into the coverage; `lines` are the lines of each piece.
    pub fn finish(&mut self, source: &str, lines: &[u64], coverage: &mut Coverage) {
        self.0.sort_by_key(|skip| skip.place);
        for skip in self.0.drain(..) {
            let before: u64 = lines.iter().take(skip.place.piece as usize).sum();
            coverage.skip(skip.reason, skip.count, || {
                format!("{source}: line {}", before + skip.place.line + 1)
            });
        }
    }
}
