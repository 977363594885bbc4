//! End to end, on a real server that the tests start themselves.
//!
//! Without a server's programs one test fails, [`a_server_is_installed`], and the others have nothing to do.
//! `PGASSAY_WITHOUT_POSTGRES=1` lets it pass as well.

mod access;
mod advice;
mod hostile;
mod proof;
mod server;
mod support;

#[test]
fn a_server_is_installed() {
    if std::env::var_os("PGASSAY_WITHOUT_POSTGRES").is_some() {
        return;
    }
    let server = support::server();
    let server = server.expect("no PostgreSQL server is installed, and nothing was tested on one");
    let connection =
        pgassay::pg::connect::connection::Connection::open(&server.settings("postgres")).unwrap();
    let hypopg = "SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'";
    let count: i64 = connection.row(hypopg, &[]).unwrap().get(0);
    assert_eq!(count, 1, "HypoPG is not installed, and nothing was tested with it");
}
