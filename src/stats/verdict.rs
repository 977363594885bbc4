//! An interval judged against a band of indifference.

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
/// A change must lie beyond the band with its whole interval, so that a nominal 5 % error does not
/// become 5 % false alarms (criterion's `compare_to_threshold` has the same rule).
pub fn judge(change: Change, band_pct: f64) -> Judgement {
    if change.high_pct < -band_pct {
        Judgement::Below
    } else if change.low_pct > band_pct {
        Judgement::Above
    } else if change.low_pct >= -band_pct && change.high_pct <= band_pct {
        Judgement::Inside
    } else {
        Judgement::Crosses
    }
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
    }
}
