//! An interval for the change of a quantile between two arms, by resampling rounds.

use super::quantile::HarrellDavis;
use super::random::Random;

/// Resamples drawn. 1,000 put the ends of a 95 % interval within about 0.7 % of their own spread.
const RESAMPLES: usize = 1_000;

/// Rounds below which resampling them says little: there are too few different resamples.
pub const FEWEST_ROUNDS: usize = 8;

/// A change in percent with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub change_pct: f64,
    pub low_pct: f64,
    pub high_pct: f64,
}

/// Change of a quantile from `before` to `after`, percent, with a 95 % percentile interval.
///
/// Each element of `before` and `after` is one round. Rounds are drawn with replacement, as pairs,
/// and never single executions: executions of one round share the state of the machine and are not
/// independent (Hurlbert, "Pseudoreplication", Ecological Monographs 54, 1984). The interval is the
/// percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13.
/// With fewer than [`FEWEST_ROUNDS`] rounds the interval is the range of the changes of the single rounds.
/// `None` when there are fewer than two rounds or the quantile before is not positive.
pub fn quantile_change(
    before: &[Vec<f64>],
    after: &[Vec<f64>],
    quantile: f64,
    seed: u64,
) -> Option<Change> {
    let rounds = before.len().min(after.len());
    if rounds < 2 {
        return None;
    }
    let every: Vec<usize> = (0..rounds).collect();
    let mut weights = Weights::default();
    let observed = ratio(before, after, &every, quantile, &mut weights)?;
    let mut ratios = Vec::with_capacity(RESAMPLES);
    let is_range = rounds < FEWEST_ROUNDS;
    if is_range {
        let single = every
            .iter()
            .filter_map(|round| ratio(before, after, &[*round], quantile, &mut weights));
        ratios.extend(single);
        ratios.push(observed);
    } else {
        let mut random = Random::new(seed);
        let mut drawn = vec![0; rounds];
        for _ in 0..RESAMPLES {
            drawn.iter_mut().for_each(|round| *round = random.below(rounds));
            ratios.extend(ratio(before, after, &drawn, quantile, &mut weights));
        }
    }
    ratios.sort_by(f64::total_cmp);
    let (low, high) = if is_range { (0.0, 1.0) } else { (0.025, 0.975) };
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    Some(Change {
        change_pct: percent(observed),
        low_pct: percent(super::quantile::sample_quantile(&ratios, low)?),
        high_pct: percent(super::quantile::sample_quantile(&ratios, high)?),
    })
}

/// Harrell–Davis weights by sample size: rounds are of nearly one size, so few are ever made.
#[derive(Default)]
struct Weights(Vec<(usize, HarrellDavis)>);

impl Weights {
    fn estimate(&mut self, mut values: Vec<f64>, quantile: f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        if !self.0.iter().any(|(size, _)| *size == n) {
            self.0.push((n, HarrellDavis::new(n, quantile)));
        }
        self.0.iter().find(|(size, _)| *size == n).map_or(0.0, |(_, w)| w.estimate(&values))
    }
}

fn ratio(
    before: &[Vec<f64>],
    after: &[Vec<f64>],
    rounds: &[usize],
    quantile: f64,
    weights: &mut Weights,
) -> Option<f64> {
    let mut pool = |arm: &[Vec<f64>]| {
        let values: Vec<f64> =
            rounds.iter().flat_map(|&round| arm[round].iter().copied()).collect();
        (!values.is_empty()).then(|| weights.estimate(values, quantile))
    };
    let (before, after) = (pool(before)?, pool(after)?);
    (before > 0.0).then(|| after / before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(random: &mut Random, count: usize, size: usize, scale: f64) -> Vec<Vec<f64>> {
        (0..count).map(|_| (0..size).map(|_| scale * (1.0 + random.unit())).collect()).collect()
    }

    #[test]
    fn a_halved_latency_is_minus_fifty_percent() {
        let mut random = Random::new(7);
        let before = rounds(&mut random, 20, 10, 100.0);
        let after = rounds(&mut random, 20, 10, 50.0);
        let change = quantile_change(&before, &after, 0.95, 1).unwrap();
        assert!((change.change_pct + 50.0).abs() < 3.0, "{change:?}");
        assert!(change.low_pct <= change.change_pct && change.change_pct <= change.high_pct);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let mut random = Random::new(3);
        let (a, b) = (rounds(&mut random, 8, 5, 1.0), rounds(&mut random, 8, 5, 1.0));
        assert_eq!(quantile_change(&a, &b, 0.95, 9), quantile_change(&a, &b, 0.95, 9));
        assert_ne!(quantile_change(&a, &b, 0.95, 9), quantile_change(&a, &b, 0.95, 10));
    }

    #[test]
    fn the_interval_of_a_few_rounds_is_their_range() {
        let (before, after) = (vec![vec![100.0]; 3], vec![vec![50.0], vec![80.0], vec![60.0]]);
        let change = quantile_change(&before, &after, 0.5, 1).unwrap();
        assert_eq!((change.low_pct.round(), change.high_pct.round()), (-50.0, -20.0));
    }

    #[test]
    fn one_round_has_no_interval() {
        assert_eq!(quantile_change(&[vec![1.0]], &[vec![1.0]], 0.95, 1), None);
    }
}
