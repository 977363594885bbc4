//! Does a verdict mean what it says? Scripted sessions with known latencies, many trials.

use pgassay::model::trial::{Verdict, WorkPairs};
use pgassay::model::workload::Sample;
use pgassay::pg::connect::caller::Caller;
use pgassay::pg::error::PgError;
use pgassay::pg::session::execute::Answer;
use pgassay::stats::random::Random;
use pgassay::trial::plan::schedule::round;
use pgassay::trial::plan::statements::ReplayedStatement;
use pgassay::trial::run::compare::compare;
use pgassay::trial::run::replay::{Executed, ReplayedArms, Session, Sessions, run_round};

/// A session whose latencies are log-normal around a scale; nothing sleeps.
struct Scripted {
    random: Random,
    scale_us: f64,
    sigma: f64,
    digest: u64,
}

impl Session for Scripted {
    fn replay(
        &mut self,
        _: &Caller,
        _: &Sample,
        limit_ms: Option<u64>,
    ) -> Result<Executed, PgError> {
        // The sum of twelve uniforms less six is close enough to a normal deviate.
        let normal: f64 = (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0;
        let latency_us = self.scale_us * (self.sigma * normal).exp();
        let limit_us = limit_ms.map_or(f64::INFINITY, |ms| ms as f64 * 1e3);
        Ok(match latency_us <= limit_us {
            true => Executed::Done(Answer { rows: 1, digest: self.digest, latency_us }),
            false => Executed::Stopped(limit_us),
        })
    }
}

const ROUNDS: usize = 20;
const SETS: usize = 10;

fn trial(seed: u64, factor: f64, session_bias: f64, digest_after: u64) -> Verdict {
    trial_of(SETS * ROUNDS, seed, factor, session_bias, digest_after, None)
}

/// One trial: the after session is `factor` as slow, and each session of a block has a bias of its own.
fn trial_of(
    executions: usize,
    seed: u64,
    factor: f64,
    session_bias: f64,
    digest_after: u64,
    limit_ms: Option<u64>,
) -> Verdict {
    let mut random = Random::new(seed);
    let all = std::iter::once(0..executions).collect::<Vec<_>>();
    let queries = vec![ReplayedStatement {
        caller: Caller::own(),
        samples: vec![Sample { text: "SELECT 1".into(), parameters: Vec::new() }; SETS],
        limit_ms,
    }];
    let mut outcomes = vec![ReplayedArms::default()];
    for block in 0..4 {
        let mut session = |scale: f64, digest| Scripted {
            random: Random::new(random.next_u64()),
            scale_us: 1_000.0 * scale * (1.0 + session_bias * (2.0 * random.unit() - 1.0)),
            sigma: 0.2,
            digest,
        };
        let (mut before, mut after, mut control) =
            (session(1.0, 1), session(factor, digest_after), session(1.0, 1));
        let mut sessions =
            Sessions { before: &mut before, after: &mut after, control: &mut control };
        for number in 0..ROUNDS / 4 {
            let number = (block * 5 + number, ROUNDS);
            let slots = round(number, &[SETS], &all, &[], &mut random);
            run_round((&mut sessions, block), &queries, &slots, &mut outcomes).unwrap();
        }
    }
    let rows_identical = Some(outcomes[0].differing.is_empty());
    compare(&outcomes[0], &WorkPairs::default(), rows_identical, seed).verdict
}

fn share(count: usize, verdict: impl Fn(u64) -> Verdict, wanted: impl Fn(&Verdict) -> bool) -> f64 {
    (0..count as u64).filter(|seed| wanted(&verdict(*seed))).count() as f64 / count as f64
}

#[test]
fn the_same_against_itself_is_never_called_a_change() {
    let quiet =
        |verdict: &Verdict| matches!(verdict, Verdict::Unchanged | Verdict::Inconclusive(_));
    assert!(share(100, |seed| trial(seed, 1.0, 0.0, 1), quiet) >= 0.99);
    // Sessions that are up to 15 % off for as long as they live, as on a busy machine.
    assert!(share(100, |seed| trial(seed, 1.0, 0.15, 1), quiet) >= 0.95);
}

#[test]
fn a_real_change_is_called_by_its_name() {
    assert!(share(60, |seed| trial(seed, 0.5, 0.0, 1), |v| *v == Verdict::Improved) >= 0.95);
    assert!(share(60, |seed| trial(seed, 1.5, 0.0, 1), |v| *v == Verdict::Regressed) >= 0.95);
    assert!(share(60, |seed| trial(seed, 0.1, 0.15, 1), |v| *v == Verdict::Improved) >= 0.95);
}

#[test]
fn a_few_executions_never_call_nothing_a_change_and_see_what_an_index_does() {
    let quiet =
        |verdict: &Verdict| matches!(verdict, Verdict::Unchanged | Verdict::Inconclusive(_));
    for executions in [8, 16, 40] {
        let same = share(200, |seed| trial_of(executions, seed, 1.0, 0.1, 1, None), quiet);
        let faster = |seed| trial_of(executions, seed, 0.1, 0.1, 1, None);
        let seen = share(60, faster, |v| *v == Verdict::Improved);
        println!("{executions} executions: {same:.3} quiet, {seen:.3} seen");
        assert!(same >= 0.95 && seen >= 0.95, "{executions}: {same} {seen}");
    }
}

#[test]
fn what_is_stopped_at_a_limit_is_seen_as_far_as_the_limit_shows_it() {
    // Half of the executions without the change are stopped at their median.
    let at_a_limit = |factor: f64, limit_ms: u64| {
        move |seed| trial_of(SETS * ROUNDS, seed, factor, 0.1, 1, Some(limit_ms))
    };
    assert!(share(60, at_a_limit(0.1, 1), |v| *v == Verdict::Improved) >= 0.95);
    assert!(share(60, at_a_limit(50.0, 5), |v| *v == Verdict::Regressed) >= 0.95);
    // Where the same is stopped in all arms, nothing is known.
    let unknown = |v: &Verdict| v.why().is_some_and(|why| why.contains("time limit"));
    assert!(share(60, at_a_limit(1.0, 1), unknown) >= 0.95);
    // All were stopped, and so they seem the same.
    assert!(share(60, at_a_limit(200.0, 1), |v| matches!(v, Verdict::Inconclusive(_))) >= 1.0);
}

#[test]
fn other_rows_are_an_error_however_fast() {
    assert!(
        share(
            10,
            |seed| trial(seed, 0.1, 0.0, 2),
            |v| v.why().is_some_and(|why| why.contains("rows differ"))
        ) >= 1.0
    );
}
