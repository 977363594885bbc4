//! How long trials take, before they begin.

use super::share::{FEWEST_ROUNDS, STRETCH};
use super::stage::Effort;
use super::transaction::MOST_REPLAYED;
use super::verify::MOST_SETS;

/// Executions of a statement beside those that are timed: to warm up, to explain, to compare the rows; as a part of
/// them.
const BESIDE_TIMED: f64 = 0.4;

/// Seconds of replay of so many indexes, each alone and then together, builds aside: where all statements are quick
/// and what stands alone stands together; and at most, where they take what time they may and each set leaves
/// something for another one to try.
pub fn replay_s(indexes: usize, statements: usize, effort: Effort) -> (f64, f64) {
    let (singles, sets) = match indexes {
        0 | 1 => (indexes as f64, 0.0),
        // A set has as much time as its statements would have in trials of single indexes.
        many => {
            let of_one = statements as f64 / MOST_REPLAYED as f64;
            (many as f64, of_one.clamp(1.0, many as f64))
        }
    };
    let most = MOST_SETS as f64 * 2.0 * sets;
    let slow = STRETCH * (1.0 + BESIDE_TIMED) * effort.budget_s;
    ((singles + sets) * effort.budget_s, (singles + most) * slow)
}

/// How long it takes, in words for who waits.
pub fn words(indexes: usize, statements: usize, effort: Effort) -> String {
    let (least_s, most_s) = replay_s(indexes, statements, effort);
    let rounds = match effort.rounds {
        few if few < FEWEST_ROUNDS => {
            format!(" ({few} rounds say too little: {FEWEST_ROUNDS} are held)")
        }
        _ => String::new(),
    };
    let again = if indexes > 1 { " or a set has to be tried again" } else { "" };
    format!(
        "about {} of replay, up to {} where statements are slow{again}, and the builds{rounds}",
        duration(least_s),
        duration(most_s)
    )
}

/// `40 s`, `12 min`.
fn duration(seconds: f64) -> String {
    match seconds {
        few if few < 120.0 => format!("{few:.0} s"),
        many => format!("{:.0} min", many / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_slow_statements_take_a_multiple() {
        let effort = Effort {
            rounds: 20,
            budget_s: 20.0,
            lock_timeout_ms: 1,
            statement_timeout_ms: 1,
            seed: 1,
        };
        assert_eq!(replay_s(0, 9, effort), (0.0, 0.0));
        assert_eq!(
            words(1, 9, effort),
            "about 20 s of replay, up to 56 s where statements are slow, and the builds"
        );
        assert_eq!(
            words(18, 22, Effort { rounds: 3, ..effort }),
            "about 8 min of replay, up to 58 min where statements are slow or a set has to be tried again, \
             and the builds (3 rounds say too little: 8 are held)"
        );
    }
}
