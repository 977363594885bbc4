//! Several recommendations on trial: together, each alone, and what they cost the writes.

use std::path::Path;

use pgassay::index::ddl::{BuildMode, create, drop, name};
use pgassay::model::index::{AccessMethod, IndexDef, IndexKey, NewIndex};
use pgassay::model::name::TableName;
use pgassay::model::recommendation::{Recommendation, RecommendationKind};
use pgassay::model::trial::{QueryTrial, Trial};
use pgassay::model::workload::Workload;
use pgassay::pg::catalog::load;
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::session::callers::Callers;
use pgassay::pg::session::guard::consent;
use pgassay::source::collect::collector::Collector;
use pgassay::source::collect::resolve_all::resolve_all;
use pgassay::trial::config::{Effort, TrialInput, TrialTarget};
use pgassay::trial::procedure::{TrialResults, verify};

use crate::support::{Shop, code, json, run, server, stderr, write_log};

pub const BROWSE: &str =
    "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT 20";
pub const SOLD: &str = "SELECT count(*) FROM listings WHERE seller_id = $1 AND category_id = $2";

/// Reads by category and by seller, and writes of each kind, as their log.
pub fn mixed_log(path: &Path, more: &[(&str, &[&str], f64)]) {
    let numbers: Vec<String> = (1..=40).map(|n| (n * 3).to_string()).collect();
    let one: Vec<[&str; 1]> = numbers.iter().map(|n| [n.as_str()]).collect();
    let two: Vec<[&str; 2]> = numbers.iter().map(|n| [n.as_str(), "8"]).collect();
    let mut entries: Vec<(&str, &[&str], f64)> = Vec::new();
    entries.extend(one.iter().map(|p| (BROWSE, p.as_slice(), 15.0)));
    entries.extend(two.iter().map(|p| (SOLD, p.as_slice(), 9.0)));
    entries.extend(more);
    write_log(path, &entries);
}

/// Executions of a statement that takes a category and a seller, as their log.
fn either_log(path: &Path, sql: &str) {
    let values: Vec<[String; 2]> =
        (1..=40).map(|n| [(n * 3).to_string(), (n * 5).to_string()]).collect();
    let values: Vec<[&str; 2]> = values.iter().map(|[a, b]| [a.as_str(), b.as_str()]).collect();
    let entries: Vec<(&str, &[&str], f64)> =
        values.iter().map(|values| (sql, values.as_slice(), 9.0)).collect();
    write_log(path, &entries);
}

fn index(keys: &[&str]) -> Recommendation {
    index_on("listings", keys)
}

fn index_on(table: &str, keys: &[&str]) -> Recommendation {
    let plan = IndexDef {
        table: TableName::new("public", table),
        method: AccessMethod::Btree,
        keys: keys.iter().copied().map(IndexKey::column).collect(),
        include: Vec::new(),
        predicate: None,
    };
    let name = name(&plan);
    let proposed = Recommendation::proposed(
        format!("ix-{name}"),
        RecommendationKind::CreateIndex,
        &plan.table,
    );
    Recommendation {
        sql: vec![create(&plan, &name, BuildMode::Concurrently)],
        undo: vec![drop("public", &name, BuildMode::Concurrently)],
        index: Some(NewIndex { name, def: plan }),
        ..proposed
    }
}

fn workload(log: &Path) -> Workload {
    let mut collector = Collector::new();
    let bytes = std::fs::read(log).unwrap();
    pgassay::source::read(bytes.as_slice(), "log", &Default::default(), &mut collector).unwrap();
    collector.finish()
}

/// What became of recommendations; why is told to whoever looks at the output.
fn states(recommendations: &[Recommendation]) -> Vec<&str> {
    for recommendation in recommendations {
        println!("{} {:?} {:?}", recommendation.id, recommendation.state, recommendation.why);
    }
    recommendations.iter().map(|recommendation| recommendation.state.word()).collect()
}

/// Tries these recommendations on the mixed traffic and more.
fn tried(
    shop: &Shop,
    recommendations: &mut [Recommendation],
    more: &[(&str, &[&str], f64)],
) -> Vec<Trial> {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    mixed_log(&log, more);
    tried_on(shop, &log, recommendations, 30_000)
}

/// Tries these recommendations on the traffic of a log.
fn tried_on(
    shop: &Shop,
    log: &Path,
    recommendations: &mut [Recommendation],
    statement_timeout_ms: u64,
) -> Vec<Trial> {
    let connection = Connection::open(&shop.settings()).unwrap();
    let callers = Callers::connected(&connection);
    let catalog = load::load(&connection, &connection.caller()).unwrap();
    let mut workload = workload(log);
    resolve_all(&mut workload, Some(&catalog));
    let settings = shop.settings();
    let consent = consent::consent(&connection, consent::Claim::default()).unwrap();
    let effort = Effort {
        rounds: 10,
        budget_s: 10.0,
        lock_timeout_ms: 2_000,
        statement_timeout_ms,
        seed: 7,
    };
    let guard = std::cell::RefCell::default();
    let case = TrialInput {
        guard: &guard,
        connection: &connection,
        workload: &workload,
        catalog: Some(&catalog),
        target: TrialTarget { settings: &settings, callers: &callers, consent: &consent, effort },
        with_writes: false,
    };
    let TrialResults { trials, stopped } = verify(&case, recommendations, &mut |_| {});
    assert!(stopped.is_none());
    for trial in &trials {
        for query in &trial.queries {
            let QueryTrial { fingerprint, p50, verdict, judged_by, .. } = query;
            println!(
                "{:?} {fingerprint} {p50:.1?} {:?} {verdict:?} by {judged_by:?}",
                trial.recommendations,
                query.work.mean()
            );
        }
    }
    trials
}

#[test]
fn what_others_make_superfluous_falls_and_what_is_left_is_tried_together() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let before = shop.objects();
    let mut recommendations = vec![
        index(&["category_id", "created_at"]),
        index(&["seller_id", "category_id"]),
        index(&["seller_id"]),
        index(&["description"]),
    ];
    let trials = tried(&shop, &mut recommendations, &[]);
    assert_eq!(states(&recommendations), ["accepted", "accepted", "rejected", "rejected"]);
    let why = |at: usize| recommendations[at].why.clone().unwrap();
    let unused = "beside the others no statement uses it";
    let other =
        format!("{unused}; ix-listings_seller_id_category_id_idx begins with the same column");
    assert_eq!([why(2), why(3)], [other, unused.to_owned()]);
    // What fell needs no trial of its own, and the last trial is of exactly what is accepted.
    assert_eq!(trials.len(), 3);
    let accepted: Vec<String> = recommendations[..2].iter().map(|r| r.id.clone()).collect();
    let together = &trials[2];
    assert_eq!(together.recommendations, accepted);
    assert_eq!(together.queries.len(), 2);
    for query in &together.queries {
        let told = (&query.verdict, query.p50);
        assert_eq!(query.verdict.word(), "improved", "{told:?} {:?}", query.plan_after);
    }
    assert!(together.indexes.iter().all(|index| index.used_by.len() == 1), "{together:?}");
    assert_eq!(shop.objects(), before);
}

#[test]
fn what_only_two_indexes_together_make_faster_lets_both_stand() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let either = "SELECT id FROM listings WHERE category_id = $1 OR seller_id = $2";
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    either_log(&log, either);
    let mut both = vec![index(&["category_id"]), index(&["seller_id"])];
    let trials = tried_on(&shop, &log, &mut both, 30_000);
    assert_eq!(states(&both), ["accepted", "accepted"]);
    assert!(both[0].why.as_deref().unwrap().ends_with("together with the others"), "{both:?}");
    assert_eq!(trials.last().unwrap().recommendations.len(), 2);
    // Without the other one there is nothing to be had.
    let mut one = vec![index(&["category_id"])];
    tried_on(&shop, &log, &mut one, 30_000);
    assert_eq!(states(&one), ["rejected"]);
}

#[test]
fn what_is_slower_only_without_the_others_stands_beside_them() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    // The rows of a team come last by score, which the planner does not know: with an index on the score it
    // leaves the one on the team, and visits nearly all rows one by one before it finds the first.
    shop.connect()
        .batch(
            "CREATE TABLE games (id int PRIMARY KEY, team int NOT NULL, score int NOT NULL, note text); \
             INSERT INTO games SELECT i, CASE WHEN s > 198000 THEN 7 ELSE 100 + s % 500 END, s, repeat('x', 60) \
               FROM (SELECT i, i * 7919 % 200000 AS s FROM generate_series(1, 200000) i) AS rows; \
             CREATE INDEX ON games (team); ANALYZE games",
        )
        .unwrap();
    let of_team = "SELECT id, note FROM games WHERE team = $1 ORDER BY score LIMIT 10";
    let lowest = "SELECT id, note FROM games WHERE score < $1 ORDER BY score LIMIT 10";
    let scores: Vec<String> = (1..=30).map(|n| (n * 50).to_string()).collect();
    let scores: Vec<[&str; 1]> = scores.iter().map(|score| [score.as_str()]).collect();
    let mut entries: Vec<(&str, &[&str], f64)> = vec![(of_team, &["7"], 20.0); 30];
    entries.extend(scores.iter().map(|score| (lowest, score.as_slice(), 20.0)));
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &entries);
    let on_games = |keys: &[&str]| index_on("games", keys);
    let mut one = vec![on_games(&["score"])];
    tried_on(&shop, &log, &mut one, 30_000);
    assert_eq!(states(&one), ["rejected"]);
    assert!(one[0].why.as_deref().unwrap().starts_with("a statement became slower"), "{one:?}");
    let mut both = vec![on_games(&["score"]), on_games(&["team", "score"])];
    let trials = tried_on(&shop, &log, &mut both, 30_000);
    assert_eq!(states(&both), ["accepted", "accepted"]);
    let why = both[0].why.as_deref().unwrap();
    assert!(why.contains("becomes faster by it beside the others; alone it makes"), "{why}");
    // What is accepted is what was tried last.
    assert_eq!(trials.last().unwrap().recommendations.len(), 2);
}

#[test]
fn what_locks_rows_is_replayed_without_its_locks() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let take = "SELECT id FROM listings WHERE category_id = $1 ORDER BY created_at LIMIT 5 FOR UPDATE SKIP LOCKED";
    let entries: Vec<(&str, &[&str], f64)> = (0..40).map(|_| (take, &["7"][..], 9.0)).collect();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &entries);
    let mut recommendations = vec![index(&["category_id", "created_at"])];
    let trials = tried_on(&shop, &log, &mut recommendations, 30_000);
    assert_eq!(states(&recommendations), ["accepted"]);
    let query = &trials[0].queries[0];
    assert_eq!(query.parameters, "from the log; replayed without its row locks");
    assert_eq!(query.rows_identical, Some(true));
}

#[test]
fn a_statement_that_never_ends_without_the_index_is_stopped_and_proves_it() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    // Reads the whole table for each of some thousand rows.
    let slow = "SELECT l.id, n.id FROM listings l, LATERAL (SELECT id FROM listings s \
                WHERE s.seller_id = l.id ORDER BY id DESC LIMIT 1) n WHERE l.id < $1";
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[(slow, &["3000"][..], 9_000.0)].repeat(20));
    let mut recommendations = vec![index(&["seller_id", "id"])];
    let trials = tried_on(&shop, &log, &mut recommendations, 1_500);
    assert_eq!(states(&recommendations), ["accepted"], "{:?}", recommendations[0].why);
    let query = &trials[0].queries[0];
    assert!(query.before.timed_out == query.before.len(), "{:?}", query.before);
    assert_eq!((query.after.timed_out, query.rows_identical), (0, None));
    assert_eq!(query.verdict.word(), "improved");
}

#[test]
fn a_statement_that_fails_for_some_parameters_takes_nothing_else_with_it() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let broken = "SELECT id FROM listings WHERE category_id = $1 AND 100 / $2::int > 3";
    let more: Vec<(&str, &[&str], f64)> =
        [(broken, &["5", "7"][..], 3.0), (broken, &["5", "0"], 3.0)].repeat(10);
    let mut recommendations = vec![index(&["category_id", "created_at"])];
    let trials = tried(&shop, &mut recommendations, &more);
    assert_eq!(states(&recommendations), ["accepted"]);
    let [trial] = &trials[..] else { panic!("{trials:?}") };
    assert!(trial.queries.iter().any(|query| query.verdict.word() == "improved"));
    assert!(
        trial.left_out.iter().any(|(_, why)| why.to_string().contains("22012")),
        "{:?}",
        trial.left_out
    );
}

#[test]
fn an_index_that_another_one_replaces_falls_although_a_statement_uses_it() {
    let Some(server) = server() else { return };
    let count = "SELECT count(*) FROM listings WHERE category_id = $1";
    let more: Vec<(&str, &[&str], f64)> = (0..20).map(|_| (count, &["7"][..], 8.0)).collect();
    let shop = Shop::new(server, true);
    let mut both = vec![index(&["category_id", "created_at"]), index(&["category_id"])];
    let trials = tried(&shop, &mut both, &more);
    // The statements that need no order use the shorter one, and miss nothing without it.
    assert_eq!(states(&both), ["accepted", "rejected"]);
    let why = both[1].why.as_deref().unwrap();
    assert!(why.starts_with("ix-listings_category_id_created_at_idx does its job: "), "{why}");
    for query in &both[1].without.as_ref().unwrap().queries {
        let (without, with) = query.work.mean().unwrap();
        assert!(without.blocks.abs_diff(with.blocks) < 8 && with.blocks > 100, "{query:?}");
    }
    assert!(trials.iter().all(|trial| trial.recommendations.len() == 1), "one is no set");
}

#[test]
fn an_index_that_cannot_be_built_does_not_take_the_others_with_it() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let mut broken = index(&["no_such_column"]);
    broken.id = "ix-broken".to_owned();
    let mut recommendations = vec![broken, index(&["category_id", "created_at"])];
    let trials = tried(&shop, &mut recommendations, &[]);
    let states = states(&recommendations);
    assert_eq!(states, ["undecided", "accepted"]);
    let why = recommendations[0].why.as_deref().unwrap();
    assert!(why.contains("no_such_column"), "{why}");
    assert_eq!(trials.len(), 1);
}

#[test]
fn rows_among_which_ties_decide_speak_against_no_index() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    shop.connect()
        .batch(
            "CREATE TABLE ranks (id int PRIMARY KEY, season int, points int, player int);
             INSERT INTO ranks SELECT i, i % 400, hashint4(i) & 3, 30000 - i FROM generate_series(1, 30000) i;
             ANALYZE ranks",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    let best = "SELECT DISTINCT ON (season) season, player FROM ranks WHERE season = $1 \
                ORDER BY season, points DESC";
    mixed_log(&log, &vec![(best, &["3"][..], 20.0); 20]);
    let output = run(
        &["trial", "--time-budget", "3", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let tried = json(&output);
    let recommendations = tried["recommendations"].as_array().unwrap().iter();
    let of_ranks: Vec<_> = recommendations
        .filter(|r| r["table"] == "public.ranks" && r["kind"] == "create-index")
        .map(|r| (r["state"].as_str().unwrap(), r["why"].to_string()))
        .collect();
    assert!(matches!(of_ranks[..], [("accepted", _)]), "{of_ranks:?}");
}

#[test]
fn an_index_that_repeats_one_that_is_there_or_another_proposal_is_never_accepted() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    shop.connect().batch("CREATE INDEX listings_of_seller ON listings (seller_id)").unwrap();
    let sellers = "SELECT id FROM listings WHERE seller_id = $1";
    let entries: Vec<(&str, &[&str], f64)> = (0..30).map(|_| (sellers, &["7"][..], 9.0)).collect();
    // Of two that are the same the planner takes the one that it finds first: the new one may be used or not.
    let mut recommendations =
        vec![index(&["category_id"]), index(&["seller_id"]), index(&["title"])];
    tried(&shop, &mut recommendations, &entries);
    assert_eq!(states(&recommendations), ["accepted", "rejected", "rejected"]);
    let mut alone = vec![index(&["seller_id"])];
    let trials = tried(&shop, &mut alone, &entries);
    assert_eq!(states(&alone), ["rejected"], "{trials:?}");
}

/// `PGASSAY_AA_TRIALS=50 cargo test --test postgres -- does_nothing` holds as many.
#[test]
fn a_change_that_does_nothing_is_neither_an_improvement_nor_a_regression() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let wanted = std::env::var("PGASSAY_AA_TRIALS").ok().and_then(|text| text.parse().ok());
    for _ in 0..wanted.unwrap_or(3) {
        let mut useless = vec![index(&["description"])];
        let trials = tried(&shop, &mut useless, &[]);
        assert_eq!(states(&useless), ["rejected"]);
        let judged = trials.iter().flat_map(|trial| &trial.queries);
        let verdicts: Vec<&str> = judged.map(|query| query.verdict.word()).collect();
        assert_eq!(verdicts, ["unchanged", "unchanged"]);
    }
}
