//! An end for tests that could wait for ever.

#![allow(dead_code, reason = "each test binary uses its own share")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Runs `case` on a thread of its own; one that does not come back within two
/// minutes fails the test.
pub fn with_watchdog(case: impl FnOnce() + Send + 'static) {
    within(Duration::from_secs(120), case);
}

/// As [`with_watchdog`], for a case that takes its time.
pub fn within(limit: Duration, case: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let case = std::thread::spawn(move || {
        case();
        // The other end is gone only when the watchdog has fired.
        let _ = done.send(());
    });
    match ended.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => panic!("it does not come back"),
        _ => case
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause)),
    }
}
