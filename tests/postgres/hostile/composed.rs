//! Statements composed at random, on a server whose functions report that they were called.

use pgassay::pg::session::guard::statement::Guard;

use crate::support::{Shop, server};

#[path = "../../../fuzz/guard.rs"]
mod generated;

/// Bytes of a generator with a fixed beginning (SplitMix64), so that a failure comes again.
fn bytes(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u8
    };
    (0..200).map(|_| next()).collect()
}

#[test]
fn a_statement_that_the_guard_permits_calls_nothing_that_reports() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let effect = directory.path().join("effect");
    let owner = shop.connect();
    owner.batch(&include_str!("guard.sql").replace("{effect}", effect.to_str().unwrap())).unwrap();
    owner.batch(include_str!("reports.sql")).unwrap();
    owner.batch("CREATE SEQUENCE s").unwrap();
    let reported = owner.batch("SELECT trap(1)").unwrap_err();
    assert_eq!(reported.sqlstate.as_deref(), Some(generated::REPORT));
    let connection = shop.connect();
    connection.read_only(2_000, 2_000).unwrap();
    let mut guard = Guard::default();
    let mut outcomes = [0; 3];
    let count = std::env::var("PGASSAY_COMPOSED").map_or(4_000, |count| count.parse().unwrap());
    for number in 0..count {
        let text = generated::statement(&bytes(number));
        outcomes[generated::check(&connection, &mut guard, &text) as usize] += 1;
    }
    assert!(!effect.exists(), "a program was started");
    let [left_out, _, executed] = outcomes;
    assert!(left_out > 1_000 && executed > 200, "{outcomes:?}");
}
