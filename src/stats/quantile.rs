//! Quantiles of measured latencies.

use statrs::function::beta::beta_reg;

/// The sample quantile by linear interpolation (type 7 of Hyndman and Fan, "Sample quantiles in
/// statistical packages", The American Statistician 50, 1996). `sorted` must be ascending; `None`
/// when it is empty.
pub fn sample_quantile(sorted: &[f64], quantile: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = quantile.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sample_quantile(&sorted, 0.5)
}

/// Weights of the Harrell–Davis estimator: the quantile as a mean of all order statistics.
///
/// Much steadier in the tail than a single order statistic. Source: Harrell and Davis, "A new
/// distribution-free quantile estimator", Biometrika 69, 1982. The weights depend on the sample size
/// alone, so a resampling computes them once.
#[derive(Debug, Clone)]
pub struct HarrellDavis {
    weights: Vec<f64>,
}

impl HarrellDavis {
    /// `n` is the sample size, `quantile` lies strictly between 0 and 1.
    pub fn new(n: usize, quantile: f64) -> Self {
        let (a, b) = ((n + 1) as f64 * quantile, (n + 1) as f64 * (1.0 - quantile));
        let mut weights = Vec::with_capacity(n);
        let mut previous = 0.0;
        for i in 1..=n {
            let next = beta_reg(a, b, i as f64 / n as f64);
            weights.push(next - previous);
            previous = next;
        }
        HarrellDavis { weights }
    }

    /// The estimate; `sorted` must be ascending and of the size the weights were made for.
    pub fn estimate(&self, sorted: &[f64]) -> f64 {
        debug_assert_eq!(sorted.len(), self.weights.len());
        sorted.iter().zip(&self.weights).map(|(value, weight)| value * weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harrell_davis_of_an_even_spread_is_the_quantile() {
        let values: Vec<f64> = (0..=1_000).map(f64::from).collect();
        let p95 = HarrellDavis::new(values.len(), 0.95).estimate(&values);
        assert!((p95 - 950.0).abs() < 1.0, "p95 was {p95}");
        let weights: f64 = HarrellDavis::new(60, 0.95).weights.iter().sum();
        assert!((weights - 1.0).abs() < 1e-9);
    }

    #[test]
    fn sample_quantiles_interpolate() {
        assert_eq!(sample_quantile(&[], 0.5), None);
        assert_eq!(sample_quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }
}
