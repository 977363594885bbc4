//! Cancels running statements on Ctrl-C.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::CancelToken;

use crate::pg::stop_flag;
use crate::pg::wire::login::Route;
use crate::pg::wire::stream::{AsItIs, Told};

static NEXT: AtomicU64 = AtomicU64::new(0);
static OPEN: Mutex<Vec<(u64, CancelToken, Route)>> = Mutex::new(Vec::new());

/// How long a server may take to hear of a cancel.
const LONGEST: Duration = Duration::from_secs(5);

/// Stops: cancels what every open connection is doing, and returns how many there are. Called from the
/// thread that waits for signals.
pub fn trigger() -> usize {
    stop_flag::set();
    let Ok(open) = OPEN.lock() else { return 0 };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return 0;
    };
    for (_, token, route) in open.iter() {
        // A connection that is gone cannot be cancelled, and need not be.
        let cancel = async {
            if let Ok(stream) = route.open(Told::default()).await {
                let _ = token.cancel_query_raw(stream, AsItIs).await;
            }
        };
        let _ = runtime.block_on(async { tokio::time::timeout(LONGEST, cancel).await });
    }
    open.len()
}

/// Keeps a connection's token known while it lives.
#[derive(Debug)]
pub struct Registered(u64);

pub(super) fn register(token: CancelToken, route: Route) -> Registered {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut open) = OPEN.lock() {
        open.push((id, token, route));
    }
    Registered(id)
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Ok(mut open) = OPEN.lock() {
            open.retain(|(id, ..)| *id != self.0);
        }
    }
}
