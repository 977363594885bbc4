#![no_main]
//! Needs a database with the functions of `tests/postgres/hostile/guard.sql` and then of `reports.sql`, named by the
//! `PG*` variables.

use std::cell::RefCell;

use pgassay::pg::config::connection_string::Keys;
use pgassay::pg::config::settings::{Places, resolve};
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::session::guard::statement::Guard;

#[path = "../guard.rs"]
mod guard;

thread_local! {
    static SERVER: RefCell<Option<(Connection, Guard)>> = const { RefCell::new(None) };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    SERVER.with_borrow_mut(|server| {
        let (connection, known) = server.get_or_insert_with(|| {
            let settings = resolve(&Places {
                flags: Keys::default(),
                file: Keys::default(),
                environment: &|name| std::env::var(name).ok(),
                home: None,
                os_user: None,
            });
            let connection = Connection::open(&settings.unwrap()).unwrap();
            connection.read_only(1_000, 1_000).unwrap();
            (connection, Guard::default())
        });
        guard::check(connection, known, &guard::statement(data));
    });
});
