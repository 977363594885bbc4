//! The log of a server tells of all its databases; statements belong to the one they ran on.

use std::fmt::Write;

use pgassay::model::workload::Workload;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::message::database::{DatabaseFilter, choose};
use pgassay::source::{capture, read};

/// Executions of the extended protocol, whose time is apart from parse and bind, of two databases that
/// take turns in the log; each runs one statement of its own and one that both run.
fn log() -> String {
    let mut log = String::new();
    for n in 0..40 {
        let (session, database, own) =
            if n % 2 == 0 { (1, "shop", "title") } else { (2, "billing", "amount") };
        let column = if n % 4 < 2 { own } else { "id" };
        for part in ["parse <unnamed>", "bind <unnamed>", "execute <unnamed>"] {
            let _ = writeln!(
                log,
                "2026-01-01 10:00:{:02}.{:03} UTC [{session}] app@{database} LOG:  duration: 1.000 ms  {part}: SELECT {column} FROM orders WHERE id = $1",
                n / 20,
                n % 20 * 50
            );
            if part != "parse <unnamed>" {
                let _ = writeln!(
                    log,
                    "2026-01-01 10:00:{:02}.{:03} UTC [{session}] app@{database} DETAIL:  parameters: $1 = '{n}'",
                    n / 20,
                    n % 20 * 50
                );
            }
        }
    }
    log
}

fn collected(inputs: &[&[u8]]) -> Collector {
    let mut collector = Collector::new();
    for input in inputs {
        read(*input, "log", &Options::default(), &mut collector).unwrap();
    }
    collector
}

fn of(mut collector: Collector, database: Option<&str>) -> Workload {
    if let Some(name) = database {
        collector.settle();
        only(&mut collector, name);
    }
    collector.finish()
}

fn only(collector: &mut Collector, name: &str) {
    let (read, all) = collector.shares();
    let choice = choose(&read, all, DatabaseFilter::Only(name)).unwrap();
    collector.leave_out(&choice.left_out);
}

/// Statements with their calls, and how many executions are kept in order.
fn told(workload: &Workload) -> (Vec<(String, u64)>, usize) {
    let mut told: Vec<(String, u64)> =
        workload.queries.iter().map(|query| (query.normalized.clone(), query.calls)).collect();
    told.sort();
    (told, workload.timeline.executions.len())
}

fn statements(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(column, calls)| (format!("SELECT {column} FROM orders WHERE id = $1"), *calls))
        .collect()
}

#[test]
fn what_ran_on_another_database_is_left_out_and_counted() {
    let log = log();
    let all = of(collected(&[log.as_bytes()]), None);
    assert_eq!(told(&all), (statements(&[("amount", 10), ("id", 20), ("title", 10)]), 40));
    assert!(all.coverage.skipped.is_empty());
    let shop = of(collected(&[log.as_bytes()]), Some("shop"));
    assert_eq!(told(&shop), (statements(&[("id", 10), ("title", 10)]), 20));
    assert_eq!((shop.coverage.statements, shop.timeline.seen), (20, 20));
    let skipped = &shop.coverage.skipped[0];
    assert_eq!(
        (&*skipped.reason, skipped.count, &*skipped.example),
        ("statement of another database", 20, "billing")
    );
    // The values are those of its own executions, too.
    let shared = shop.queries.iter().find(|query| query.normalized.contains("SELECT id")).unwrap();
    assert!(shared.samples.iter().all(|sample| {
        sample.parameters[0].expose().unwrap().parse::<u32>().unwrap().is_multiple_of(2)
    }));
}

#[test]
fn a_capture_tells_databases_apart_and_its_halves_still_merge() {
    let log = log();
    let whole = capture::write(&mut collected(&[log.as_bytes()])).unwrap();
    let shop = told(&of(collected(&[&whole]), Some("shop")));
    assert_eq!(shop, told(&of(collected(&[log.as_bytes()]), Some("shop"))));
    for (cut, _) in log.match_indices('\n') {
        let (one, two) = log.split_at(cut + 1);
        if two.is_empty() {
            continue;
        }
        let half = |text: &str| capture::write(&mut collected(&[text.as_bytes()])).unwrap();
        let merged = collected(&[&half(one), &half(two)]);
        assert_eq!(told(&of(merged, Some("shop"))), shop, "cut at {cut}");
    }
    // A capture of one database knows nothing of the other, whatever was still open.
    let mut narrowed = collected(&[&log.as_bytes()[..log.len() / 2]]);
    only(&mut narrowed, "shop");
    let narrowed = of(collected(&[&capture::write(&mut narrowed).unwrap()]), None);
    assert!(told(&narrowed).0.iter().all(|(text, _)| !text.contains("amount")));
}

#[test]
fn an_export_names_its_databases_where_it_was_joined_with_them() {
    let export = "datname,queryid,query,calls,total_exec_time\n\
                  shop,1,SELECT a FROM orders WHERE id = $1,5,10\n\
                  billing,2,SELECT a FROM orders WHERE id = $1,7,10\n";
    let shop = of(collected(&[export.as_bytes()]), Some("shop"));
    assert_eq!(told(&shop).0, [("SELECT a FROM orders WHERE id = $1".to_owned(), 5)]);
    let all = of(collected(&[export.as_bytes()]), None);
    assert_eq!(told(&all).0, [("SELECT a FROM orders WHERE id = $1".to_owned(), 12)]);
    // Without names there are the server's numbers.
    let numbers = export.replace("datname", "dbid").replace("shop", "5").replace("billing", "6");
    let collector = collected(&[numbers.as_bytes()]);
    let (read, _) = collector.shares();
    assert_eq!(read.keys().copied().collect::<Vec<_>>(), ["dbid 5", "dbid 6"]);
}
