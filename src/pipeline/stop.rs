//! The stop flag: one thread asks, every stage sees it, however it waits.

use super::wait::Notifier;
use crate::sync::{Arc, AtomicBool, Ordering};

/// A request to end the run. Clones are handles of the same request.
#[derive(Clone, Debug)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requested: AtomicBool,
    threads: Box<[Notifier]>,
}

impl Stop {
    /// A flag that wakes `threads` when it is set.
    #[must_use]
    pub fn new(threads: Vec<Notifier>) -> Self {
        Self {
            shared: Arc::new(Shared {
                requested: AtomicBool::new(false),
                threads: threads.into(),
            }),
        }
    }

    /// Asks every thread to stop, and wakes those that sleep. Takes no lock and
    /// allocates nothing.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::Release); // SYNC: stop
        self.shared.threads.iter().for_each(Notifier::notify);
    }

    /// True once somebody has asked.
    #[inline]
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire) // SYNC: stop
    }
}
