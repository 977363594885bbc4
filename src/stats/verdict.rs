//! Judges an interval against a band of indifference.

use super::bootstrap::Change;

/// How an interval lies to the band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The whole interval is below the band: faster.
    Below,
    /// The whole interval is above the band: slower.
    Above,
    /// The whole interval is inside the band.
    Inside,
    /// It crosses an edge of the band: more rounds, or a quieter machine, could tell.
    Crosses,
}

/// Judges a change against ±`band_pct`.
///
/// The band is one of ratios: 25 % slower is as far from nothing as 20 % faster, and no amount of noise
/// makes an improvement impossible to see. A change must lie beyond the band with its whole interval, so that a nominal 5 % error does not
/// become 5 % false alarms (criterion's `compare_to_threshold` has the same rule).
pub fn judge(change: Change, band_pct: f64) -> Judgement {
    let band = (1.0 + band_pct / 100.0).ln();
    let (low, high) = (log_ratio(change.low_pct), log_ratio(change.high_pct));
    if high < -band {
        Judgement::Below
    } else if low > band {
        Judgement::Above
    } else if low >= -band && high <= band {
        Judgement::Inside
    } else {
        Judgement::Crosses
    }
}

/// A change in percent as the logarithm of the ratio; minus infinity where nothing is left.
pub fn log_ratio(change_pct: f64) -> f64 {
    (1.0 + change_pct / 100.0).max(0.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_interval_beyond_the_band_is_a_verdict() {
        let change = |low_pct, high_pct| Change { change_pct: 0.0, low_pct, high_pct };
        assert_eq!(judge(change(-97.0, -96.0), 10.0), Judgement::Below);
        assert_eq!(judge(change(-40.0, -5.0), 10.0), Judgement::Crosses);
        assert_eq!(judge(change(-4.0, 6.0), 10.0), Judgement::Inside);
        assert_eq!(judge(change(12.0, 44.0), 10.0), Judgement::Above);
        assert_eq!(judge(change(-20.0, 20.0), 10.0), Judgement::Crosses);
        // Noise that doubles a time hides a halving and not a tenth.
        assert_eq!(judge(change(-60.0, -45.0), 100.0), Judgement::Crosses);
        assert_eq!(judge(change(-93.0, -90.0), 100.0), Judgement::Below);
    }
}
