//! Statements that follow one another by chance are no loop.

use std::fmt::Write;

use pgassay::rules::input::Input;
use pgassay::rules::loops::n_plus_one;
use pgassay::source::collect::collector::Collector;
use pgassay::source::collect::resolve_all::resolve_all;
use pgassay::sql;
use pgassay::stats::random::Random;

const SCHEMA: &str = "CREATE TABLE authors (id bigint PRIMARY KEY, name text); \
     CREATE TABLE books (id bigint PRIMARY KEY, author_id bigint REFERENCES authors (id), title text);";

/// Loops found in a log whose statements are drawn by `choose` and get a random key each.
fn loops(parent: &str, choose: impl Fn(usize, &mut Random) -> bool) -> usize {
    let (catalog, _) = sql::dump::catalog::catalog(SCHEMA);
    let mut random = Random::new(11);
    let mut log = String::new();
    for n in 0..4_000 {
        let key = random.below(500);
        let (pid, text) = if choose(n, &mut random) {
            (random.below(2), parent.to_owned())
        } else {
            (random.below(2), format!("SELECT id, title FROM books WHERE author_id = {key}"))
        };
        let _ = writeln!(
            log,
            "2026-01-01 10:{:02}:{:02}.{:03} UTC [{pid}] app@shop LOG:  duration: 0.500 ms  statement: {text}",
            n / 6_000 % 60,
            n / 100 % 60,
            n % 100 * 10,
        );
    }
    let mut collector = Collector::new();
    pgassay::source::read(log.as_bytes(), "log", &Default::default(), &mut collector).unwrap();
    let mut workload = collector.finish();
    resolve_all(&mut workload, Some(&catalog));
    let input = Input::new(&workload, Some(&catalog));
    (n_plus_one::RULE.find)(&input).len()
}

#[test]
fn independent_statements_make_no_loop() {
    let by_lot = |_: usize, random: &mut Random| random.below(2) == 0;
    assert_eq!(loops("SELECT id, name FROM authors ORDER BY name LIMIT 20", by_lot), 0);
}

#[test]
fn an_aggregate_gives_one_row_and_drives_no_loop() {
    let each_tenth = |n: usize, _: &mut Random| n.is_multiple_of(10);
    assert_eq!(loops("SELECT count(*) FROM authors", each_tenth), 0);
    // The same rhythm after a list of rows is a loop.
    assert_eq!(loops("SELECT id, name FROM authors ORDER BY name LIMIT 9", each_tenth), 1);
}
