//! Asking a run to end, and telling a stalled stage from an idle one and from one
//! that waits for the reader of the results.
//!
//! Below the pipeline, for sources and outputs to look at.
//!
//! Guarantees: a [`Stop`] can be raised from any thread, a signal handler's
//! included, and is seen by the capture stage within its longest wait; the other
//! stages end because the hand-off before them closes. Costs one relaxed load
//! a frame. A [`Heartbeat`] costs two relaxed stores a frame.

use crate::monotonic::now_ns;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// A request to end the run, shared by everybody who may make it and by the
/// outputs, which say here when it is their reader that holds the run up.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    raised: Arc<AtomicBool>,
    /// When the last wait for a reader ended; [`WAITING`] during one.
    reader_waited_ns: Arc<AtomicU64>,
}

/// An output waits for its reader.
const WAITING: u64 = u64::MAX;

impl Stop {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to drain and end.
    pub fn raise(&self) {
        // SYNC: stop (store) - pairs with the load in `is_raised`; no data travels with it.
        self.raised.store(true, Ordering::Relaxed);
    }

    /// True once anybody has asked.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        // SYNC: stop (load)
        self.raised.load(Ordering::Relaxed)
    }

    /// Calls `wait`, which waits for a reader of the results: back-pressure on
    /// all stages, and no stage's stall. One output at a time does so.
    pub fn while_reader_waits<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.reader_waited_ns.store(WAITING, Ordering::Relaxed);
        let waited = wait();
        self.reader_waited_ns.store(now_ns(), Ordering::Relaxed);
        waited
    }

    /// Time up to which the reader was what held the stages up: `now_ns` while
    /// an output waits for it.
    #[must_use]
    pub fn held_up_until_ns(&self, now_ns: u64) -> u64 {
        self.reader_waited_ns.load(Ordering::Relaxed).min(now_ns)
    }
}

/// Since when a stage has been at work without a pause; 0 while it waits.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat {
    busy_since_ns: Arc<AtomicU64>,
}

impl Heartbeat {
    /// The stage starts on a piece of work.
    pub fn busy(&self) {
        self.busy_since(now_ns());
    }

    /// The same, for who has just read the clock.
    pub fn busy_since(&self, now_ns: u64) {
        self.busy_since_ns.store(now_ns, Ordering::Relaxed);
    }

    /// The stage has nothing to do.
    pub fn idle(&self) {
        self.busy_since_ns.store(0, Ordering::Relaxed);
    }

    /// How long the stage has been on its present piece of work, not counting
    /// the time before `counted_from_ns`.
    #[must_use]
    pub fn busy_for_ns(&self, now_ns: u64, counted_from_ns: u64) -> u64 {
        match self.busy_since_ns.load(Ordering::Relaxed) {
            0 => 0,
            since => now_ns.saturating_sub(since.max(counted_from_ns)),
        }
    }
}
