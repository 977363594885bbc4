//! Turns model data into the run file, with its public keys.

use super::words::{self, bytes, change};
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Subject};
use crate::model::recommendation::{Recommendation, Takes};
use crate::model::run::{
    Run, RunAlone, RunArm, RunCoverage, RunEstimate, RunFinding, RunLeftOut, RunMeasured,
    RunOwnWriteCost, RunQuery, RunQueryTrial, RunRecommendation, RunSequence, RunSkipped,
    RunSubject, RunTakes, RunTrial, RunTriedIndex, RunWithout, RunWithoutQuery, RunWork,
    RunWriteQuery, RunWrites, SCHEMA_VERSION, Target, Tool,
};
use crate::model::trial::{
    Arm, QueryTrial, Trial, WithoutIndex, WithoutQuery, WorkPairs, WriteTrial,
};
use crate::model::workload::duration::Durations;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::{Coverage, Provenance, Query, Workload};
use crate::stats::quantile::sample_quantile;

/// A run with nothing in it yet.
pub fn empty(command: &str, created_at: Option<String>) -> Run {
    Run {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "pgassay".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        command: command.to_owned(),
        created_at,
        target: None,
        coverage: RunCoverage::default(),
        queries: Vec::new(),
        findings: Vec::new(),
        recommendations: Vec::new(),
        takes: None,
        trials: Vec::new(),
        checks: Vec::new(),
        access: None,
        warnings: Vec::new(),
        seed: None,
        next: None,
    }
}

pub fn target(catalog: &Catalog, description: Option<String>) -> Target {
    Target {
        database: catalog.database.clone(),
        server_version: catalog.server_version.clone(),
        origin: catalog.origin.word().to_owned(),
        description,
    }
}

pub fn coverage(coverage: &Coverage) -> RunCoverage {
    RunCoverage {
        lines: coverage.lines,
        statements: coverage.statements,
        understood: coverage.understood,
        skipped: coverage
            .skipped
            .iter()
            .map(|skipped| RunSkipped {
                reason: skipped.reason.clone(),
                count: skipped.count,
                example: skipped.example.clone(),
            })
            .collect(),
    }
}

pub fn queries(workload: &Workload) -> Vec<RunQuery> {
    workload.queries.iter().map(|query| run_query(workload, query)).collect()
}

fn run_query(workload: &Workload, query: &Query) -> RunQuery {
    let shape = query.shape.as_ref();
    let durations = &query.durations;
    let quantile = |q: f64| (durations.count() > 0).then(|| durations.quantile_us(q));
    RunQuery {
        fingerprint: query.fingerprint.to_string(),
        queryid: query.queryid,
        normalized: query.normalized.clone(),
        calls: query.calls,
        total_us: query.mean_us().map(|_| query.total_us),
        mean_us: query.mean_us(),
        p50_us: quantile(0.50),
        p95_us: quantile(0.95),
        p99_us: quantile(0.99),
        max_us: (durations.count() > 0).then(|| durations.max_us()),
        rows: query.rows,
        tables: shape.iter().flat_map(|shape| shape.tables()).map(ToString::to_string).collect(),
        parsed: shape.is_some(),
        provenance: Provenance::Observed.word().to_owned(),
        share_pct: workload.share_pct(query.total_us),
        observed_plan: query.plan.as_ref().map(|plan| plan.text.clone()),
        no_index: None,
    }
}

pub fn finding(finding: &Finding) -> RunFinding {
    RunFinding {
        id: finding.id.clone(),
        rule: finding.rule.to_owned(),
        level: finding.level.word().to_owned(),
        impact_pct: finding.impact_pct,
        subject: subject(&finding.subject),
        message: finding.message.clone(),
        evidence: finding.evidence.clone(),
        advice: finding.advice.clone(),
    }
}

fn subject(subject: &Subject) -> RunSubject {
    RunSubject {
        table: subject.table.as_ref().map(ToString::to_string),
        columns: subject.columns.clone(),
        index: subject.index.clone(),
        policy: None,
        query: subject.query.map(|fingerprint| fingerprint.to_string()),
        parent_query: subject.parent_query.map(|fingerprint| fingerprint.to_string()),
    }
}

pub fn recommendation(recommendation: &Recommendation, trials: &[&Trial]) -> RunRecommendation {
    let is_own = |trial: &&&Trial| trial.recommendations == [recommendation.id.clone()];
    let trial = trials.iter().copied().find(|trial| is_own(&trial));
    RunRecommendation {
        id: recommendation.id.clone(),
        kind: recommendation.kind.word().to_owned(),
        table: recommendation.table.as_ref().map(ToString::to_string),
        sql: recommendation.sql.clone(),
        undo: recommendation.undo.clone(),
        after: recommendation.after.clone(),
        because: recommendation.because.clone(),
        state: recommendation.state.word().to_owned(),
        requires: recommendation.requires.clone(),
        purpose: purpose(recommendation, trial, trials),
        why: recommendation.why.clone(),
        cautions: recommendation.cautions.clone(),
        estimated: recommendation.estimated.map(|estimate| RunEstimate {
            cost_before: estimate.cost_before,
            cost_after: estimate.cost_after,
            size_bytes: recommendation.takes.map(|takes| takes.size_bytes),
            write_overhead_pct: recommendation.takes.and_then(|takes| takes.write_overhead_pct),
        }),
        takes: recommendation.takes.as_ref().map(takes),
        measured: trial.and_then(measured),
        without: recommendation.without.as_ref().map(without),
    }
}

pub fn takes(takes: &Takes) -> RunTakes {
    RunTakes { size_bytes: takes.size_bytes, write_overhead_pct: takes.write_overhead_pct }
}

/// Returns the purpose and the cost: measured where a trial built the index, else estimated.
fn purpose(
    recommendation: &Recommendation,
    trial: Option<&Trial>,
    all: &[&Trial],
) -> Option<String> {
    let mut words = recommendation.purpose.clone()?;
    let takes = recommendation.takes;
    let size = match trial.and_then(Trial::size_bytes) {
        Some(measured) => Some(bytes(measured)),
        None => takes.map(|takes| format!("about {}", bytes(takes.size_bytes))),
    };
    let table = recommendation.table.as_ref().map_or("", |table| &table.name);
    let estimated = takes
        .and_then(|takes| takes.write_overhead_pct)
        .map(|pct| format!("about {} on the writes of {table}", change(pct)));
    // The cost of a set stands with the set; of one of its members only its own is told here.
    let writes = all.iter().find_map(|trial| {
        let is_in_it = trial.recommendations.contains(&recommendation.id);
        trial.writes.as_ref().filter(|_| is_in_it).map(|writes| (trial, writes))
    });
    let measured = writes.and_then(|(trial, writes)| {
        let own = writes.own.iter().find(|own| own.recommendation == recommendation.id);
        let only = (writes.change_pct.zip(writes.interval_pct))
            .filter(|_| trial.recommendations.len() == 1);
        let (pct, (low_pct, high_pct)) =
            own.map(|own| (own.change_pct, own.interval_pct)).or(only)?;
        Some(match low_pct > 0.0 {
            true => format!("{} on the writes of {table}, measured", change(pct)),
            false => format!(
                "nothing on the writes of {table} that could be measured ({})",
                words::interval(low_pct, high_pct)
            ),
        })
    });
    let estimated = estimated.filter(|_| writes.is_none());
    let costs: Vec<String> = size.into_iter().chain(measured.or(estimated)).collect();
    if !costs.is_empty() {
        words.push_str(&format!("; costs {}", costs.join(" and ")));
    }
    Some(words)
}

/// The statement that a trial improved most, or changed most where it improved none.
fn measured(trial: &Trial) -> Option<RunMeasured> {
    let most = |improved: bool| {
        let of = trial.queries.iter().filter(move |query| query.is_improved() == improved);
        of.min_by(|a, b| a.p50.change_pct.total_cmp(&b.p50.change_pct))
    };
    let most = most(true).or_else(|| most(false))?;
    let (before, after) = (arm(&most.before), arm(&most.after));
    let (quantile, shown) = most.shown();
    let judged = |arm: &RunArm| if quantile == "p50" { arm.p50_us } else { arm.p95_us };
    Some(RunMeasured {
        fingerprint: Some(most.fingerprint.to_string()),
        p95_before_us: before.p95_us?,
        p95_after_us: after.p95_us?,
        judged_by: most.judged_by.word().to_owned(),
        quantile: Some(quantile.to_owned()),
        work: work(&most.work),
        judged_before_us: judged(&before),
        judged_after_us: judged(&after),
        stopped_before: before.timed_out > 0,
        change_pct: finite(shown.change_pct),
        interval_pct: interval(shown.interval_pct),
        verdict: most.verdict.word().to_owned(),
        size_bytes: trial.size_bytes(),
        build_ms: trial.build_ms(),
    })
}

fn work(pairs: &WorkPairs) -> Option<RunWork> {
    let (before, after) = pairs.mean()?;
    Some(RunWork {
        parameter_sets: pairs.pairs.len() as u64,
        blocks_before: before.blocks,
        blocks_after: after.blocks,
        rows_before: before.rows,
        rows_after: after.rows,
        same_nodes: pairs.same_nodes,
    })
}

fn without(without: &WithoutIndex) -> RunWithout {
    let query = |query: &WithoutQuery| RunWithoutQuery {
        fingerprint: query.fingerprint.to_string(),
        work: work(&query.work),
        p50_without_us: query.without.median_us(),
        p50_with_us: query.with.median_us(),
        stopped: query.without.timed_out > 0,
    };
    RunWithout {
        queries: without.queries.iter().map(query).collect(),
        served_by: without.served_by.clone(),
    }
}

/// One of the trials of a run. What one recommendation did alone stands beside what a set did.
pub fn trial(trial: &Trial, trials: &[&Trial]) -> RunTrial {
    let singles: Vec<&Trial> = match trial.recommendations.len() {
        0 | 1 => Vec::new(),
        _ => trials.iter().copied().filter(|single| single.is_alone_in(trial)).collect(),
    };
    RunTrial {
        recommendations: trial.recommendations.clone(),
        mode: trial.mode.to_owned(),
        rounds: trial.rounds,
        builds: trial.builds,
        noise_floor_pct: finite(trial.noise_floor_pct),
        build_ms: trial.build_ms(),
        size_bytes: trial.size_bytes(),
        queries: trial.queries.iter().map(|query| query_trial(query, &singles)).collect(),
        left_out: left_out(&trial.left_out),
        failed: trial.failed.clone(),
        writes: trial.writes.as_ref().map(writes),
        indexes: trial
            .indexes
            .iter()
            .map(|index| RunTriedIndex {
                recommendation: index.recommendation.clone(),
                build_ms: index.build_ms,
                size_bytes: index.size_bytes,
                used_by: index.used_by.iter().map(ToString::to_string).collect(),
                failed: index.failed.clone(),
            })
            .collect(),
    }
}

fn left_out<W: ToString>(list: &[(Fingerprint, W)]) -> Vec<RunLeftOut> {
    list.iter()
        .map(|(fingerprint, reason)| RunLeftOut {
            fingerprint: fingerprint.to_string(),
            reason: reason.to_string(),
        })
        .collect()
}

fn writes(trial: &WriteTrial) -> RunWrites {
    RunWrites {
        rounds: trial.rounds,
        change_pct: trial.change_pct.map(finite),
        interval_pct: trial.interval_pct.map(interval),
        control_interval_pct: trial.control_interval_pct.map(interval),
        queries: trial
            .queries
            .iter()
            .map(|query| RunWriteQuery {
                fingerprint: query.fingerprint.to_string(),
                before: arm(&query.before),
                after: arm(&query.after),
                change_pct: finite(query.change_pct),
                interval_pct: interval(query.interval_pct),
                wal_before_bytes: query.wal_before_bytes,
                wal_after_bytes: query.wal_after_bytes,
                blocks_before: Some(query.blocks_before),
                blocks_after: Some(query.blocks_after),
                hot_before: query.hot_before,
                hot_after: query.hot_after,
            })
            .collect(),
        own: trial
            .own
            .iter()
            .map(|own| RunOwnWriteCost {
                recommendation: own.recommendation.clone(),
                change_pct: finite(own.change_pct),
                interval_pct: interval(own.interval_pct),
                wal_before_bytes: own.wal_before_bytes,
                wal_after_bytes: own.wal_after_bytes,
            })
            .collect(),
        left_out: left_out(&trial.left_out),
        failed: trial.failed.clone(),
        sequences: trial
            .sequences
            .iter()
            .map(|(name, advanced)| RunSequence { name: name.clone(), advanced: *advanced })
            .collect(),
        dead_rows: trial.dead_rows,
    }
}

fn query_trial(trial: &QueryTrial, singles: &[&Trial]) -> RunQueryTrial {
    let own: Vec<(&str, &QueryTrial)> = singles
        .iter()
        .flat_map(|single| {
            let of = |query: &&QueryTrial| query.fingerprint == trial.fingerprint;
            single
                .queries
                .iter()
                .filter(of)
                .map(|query| (single.recommendations[0].as_str(), query))
        })
        .collect();
    let (quantile, shown) = trial.shown();
    let work = work(&trial.work);
    RunQueryTrial {
        fingerprint: trial.fingerprint.to_string(),
        before: arm(&trial.before),
        after: arm(&trial.after),
        control: arm(&trial.control),
        change_pct: finite(shown.change_pct),
        interval_pct: interval(shown.interval_pct),
        control_interval_pct: interval(shown.control_interval_pct),
        quantile: Some(quantile.to_owned()),
        p50_change_pct: Some(finite(trial.p50.change_pct)),
        p50_interval_pct: Some(interval(trial.p50.interval_pct)),
        verdict: trial.verdict.word().to_owned(),
        why: trial.verdict.why().map(str::to_owned),
        judged_by: trial.judged_by.word().to_owned(),
        rows_identical: trial.rows_identical,
        buffers_before: work.as_ref().map(|work| work.blocks_before),
        buffers_after: work.as_ref().map(|work| work.blocks_after),
        work,
        plan_before: trial.plan_before.text.clone(),
        plan_after: trial.plan_after.text.clone(),
        parameters: trial.parameters.clone(),
        log_gap: trial.log_gap.clone(),
        slower_than_alone: own
            .iter()
            .find(|(_, single)| trial.is_slower_than(single))
            .map(|(recommendation, _)| (*recommendation).to_owned()),
        alone: own
            .into_iter()
            .map(|(recommendation, single)| RunAlone {
                recommendation: recommendation.to_owned(),
                change_pct: finite(single.shown().1.change_pct),
                interval_pct: interval(single.shown().1.interval_pct),
                verdict: single.verdict.word().to_owned(),
            })
            .collect(),
    }
}

fn interval(interval_pct: (f64, f64)) -> [f64; 2] {
    [finite(interval_pct.0), finite(interval_pct.1)]
}

/// JSON has no infinity; a change that is not known at all is as wide as a number can say.
fn finite(value: f64) -> f64 {
    value.clamp(-1e9, 1e9)
}

fn arm(arm: &Arm) -> RunArm {
    let mut latencies = arm.all();
    latencies.sort_by(f64::total_cmp);
    let mut histogram = Durations::new();
    latencies.iter().for_each(|latency_us| histogram.record(latency_us.round() as u64));
    RunArm {
        n: latencies.len() as u64,
        timed_out: arm.timed_out as u64,
        p50_us: sample_quantile(&latencies, 0.50),
        p95_us: sample_quantile(&latencies, 0.95),
        p99_us: sample_quantile(&latencies, 0.99),
        histogram: histogram.buckets().into_iter().map(|(bucket, count)| [bucket, count]).collect(),
    }
}
