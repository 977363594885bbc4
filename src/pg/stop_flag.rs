//! Whether the user asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};

static SET: AtomicBool = AtomicBool::new(false);

/// The user asked to stop.
pub fn is_set() -> bool {
    SET.load(Ordering::Relaxed)
}

pub(super) fn set() {
    SET.store(true, Ordering::Relaxed);
}
