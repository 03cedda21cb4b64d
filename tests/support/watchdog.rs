//! An end for tests that could wait for ever.

#![allow(dead_code, reason = "each test binary uses its own share")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Longest that a case may take, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(240);

/// Runs `case` on a thread of its own; one that does not come back fails the
/// test.
pub fn with_watchdog(case: impl FnOnce() + Send + 'static) {
    finished(case);
}

/// As [`with_watchdog`], and hands on what `case` comes to.
pub fn finished<T: Send + 'static>(case: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = channel();
    let case = std::thread::spawn(move || {
        let value = case();
        // The other end is gone only when the watchdog has fired.
        let _ = done.send(());
        value
    });
    match ended.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("it does not come back"),
        _ => case
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause)),
    }
}
