//! Waiting by a declared strategy, for any of several things at once.
//!
//! Every thread owns one [`Waiter`]. Whoever may give it something to do (the
//! other half of a hop or a mailbox, the stop flag) holds a [`Notifier`] of it.
//! The thread waits for a condition over all of its inputs:
//!
//! ```
//! use e4::pipeline::{hop, Until, WaitStrategy, Waiter};
//!
//! let mut me = Waiter::new(WaitStrategy::Park, false);
//! let peer = Waiter::new(WaitStrategy::Park, false);
//! let (mut tx_a, mut rx_a) = hop::<u32>(4, &peer, &me);
//! let (_tx_b, rx_b) = hop::<u32>(4, &peer, &me);
//! std::thread::spawn(move || tx_a.try_send(7));
//! assert!(me.wait(Until::FOREVER, || rx_a.is_ready() || rx_b.is_ready()));
//! assert_eq!(rx_a.try_recv(), Some(7));
//! ```
//!
//! Guarantees: no notification is lost (`wake.rs` says why), whatever the
//! strategy; a deadline is an absolute time and is kept. On a shared core
//! `hybrid` never polls: it sleeps until shortly before the predicted arrival,
//! so that core and thread are awake, and then on the futex.
//!
//! Not guaranteed: that the condition still holds once somebody else changed
//! it; anything about fairness between inputs.
//!
//! Cost: a condition that holds already costs one look. `hybrid` polls for at
//! most two guards (240 us) around a predicted arrival, on a core of its own; on
//! a shared one it costs two sleeps instead of one.

use super::futex::NEVER;
use super::strategy::WaitStrategy;
use super::wake::{Both, Sleep, WakeWord};
use crate::monotonic::now_ns;
use crate::sync::Arc;
use std::hint::spin_loop;

/// `hybrid` is awake this long before a predicted arrival, and as long after.
/// It covers waking up from a timer, not the jitter of the producer.
pub const GUARD_NS: u64 = 120_000;

/// On a shared core it is awake this long before a predicted arrival: enough for
/// the timer to be late, and little for the core to doze off again.
const SHARED_LEAD_NS: u64 = 40_000;

/// Polls between two looks at the clock.
const POLLS: u32 = 16;

/// How long to wait, and when the end is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// Give up at this time of [`crate::monotonic`]; `u64::MAX` for never.
    pub deadline_ns: u64,
    /// When something is expected to arrive, where that is known.
    pub expected_ns: Option<u64>,
}

impl Until {
    /// No deadline, nothing known.
    pub const FOREVER: Self = Self {
        deadline_ns: NEVER,
        expected_ns: None,
    };

    /// Gives up at `deadline_ns`.
    #[must_use]
    pub const fn deadline(deadline_ns: u64) -> Self {
        Self {
            deadline_ns,
            expected_ns: None,
        }
    }

    /// The same, with an arrival expected at `expected_ns`.
    #[must_use]
    pub const fn expecting(self, expected_ns: Option<u64>) -> Self {
        Self {
            expected_ns,
            ..self
        }
    }
}

/// The waiting end of a thread; it moves into the thread that waits with it.
#[derive(Debug)]
pub struct Waiter {
    word: Arc<WakeWord>,
    strategy: WaitStrategy,
    shared: bool,
}

/// Wakes the thread of one [`Waiter`].
#[derive(Clone, Debug)]
pub struct Notifier {
    word: Arc<WakeWord>,
}

impl Notifier {
    /// Makes the thread look again. Call it after the change it may wait for.
    #[inline]
    pub fn notify(&self) {
        self.word.notify::<Both>();
    }
}

impl Waiter {
    /// A waiter that waits by `strategy`; `shared` says that other stages run
    /// on the same core: `hybrid` does not poll there, and `spin` yields at every
    /// look.
    #[must_use]
    pub fn new(strategy: WaitStrategy, shared: bool) -> Self {
        Self {
            word: Arc::new(WakeWord::new()),
            strategy,
            shared,
        }
    }

    /// True when other stages run on the same core.
    #[must_use]
    pub fn shares_core(&self) -> bool {
        self.shared
    }

    /// A handle that wakes this waiter.
    #[must_use]
    pub fn notifier(&self) -> Notifier {
        Notifier {
            word: self.word.clone(),
        }
    }

    /// True when `notifier` wakes this waiter.
    #[must_use]
    pub fn is_woken_by(&self, notifier: &Notifier) -> bool {
        Arc::ptr_eq(&self.word, &notifier.word)
    }

    /// Waits until `ready` holds; false when the deadline came first.
    ///
    /// `ready` is called often and must not block; whatever makes it true must
    /// be followed by a [`Notifier::notify`].
    #[inline]
    pub fn wait(&mut self, until: Until, mut ready: impl FnMut() -> bool) -> bool {
        ready() || self.wait_slow(until, &mut ready)
    }

    fn wait_slow(&mut self, until: Until, ready: &mut impl FnMut() -> bool) -> bool {
        match self.strategy {
            WaitStrategy::Spin => self.poll(until.deadline_ns, ready),
            WaitStrategy::Park => self.park(until.deadline_ns, ready),
            WaitStrategy::Hybrid => {
                until
                    .expected_ns
                    .is_some_and(|at| self.meet(at, until.deadline_ns, ready))
                    || self.park(until.deadline_ns, ready)
            }
        }
    }

    /// Sleeps until a guard before `expected_ns`, polls until a guard after it; on
    /// a shared core, sleeps until shortly before it.
    fn meet(
        &mut self,
        expected_ns: u64,
        deadline_ns: u64,
        ready: &mut impl FnMut() -> bool,
    ) -> bool {
        let lead_ns = if self.shared {
            SHARED_LEAD_NS
        } else {
            GUARD_NS
        };
        let from = expected_ns.saturating_sub(lead_ns).min(deadline_ns);
        let to = expected_ns.saturating_add(GUARD_NS).min(deadline_ns);
        (now_ns() < from && self.park(from, ready)) || (!self.shared && self.poll(to, ready))
    }

    /// Polls until `end_ns`.
    fn poll(&mut self, end_ns: u64, ready: &mut impl FnMut() -> bool) -> bool {
        loop {
            for _ in 0..POLLS {
                if ready() {
                    return true;
                }
                if self.shared {
                    std::thread::yield_now();
                } else {
                    spin_loop();
                }
            }
            if now_ns() >= end_ns {
                return ready();
            }
        }
    }

    /// Sleeps on the futex until `deadline_ns`.
    fn park(&mut self, deadline_ns: u64, ready: &mut impl FnMut() -> bool) -> bool {
        loop {
            match self.word.sleep::<Both>(deadline_ns, ready) {
                Sleep::Ready => return true,
                Sleep::TimedOut => return ready(),
                Sleep::Woken if ready() => return true,
                Sleep::Woken => {}
            }
        }
    }

    /// Model only: the word, through which a model's clock lets deadlines pass.
    #[cfg(all(test, loom))]
    pub(crate) fn word(&self) -> Arc<WakeWord> {
        self.word.clone()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// How often a wait that ends by its deadline looks.
    fn looks(strategy: WaitStrategy, shared: bool) -> u32 {
        let mut waiter = Waiter::new(strategy, shared);
        let now = now_ns();
        let until = Until::deadline(now + 4_000_000).expecting(Some(now + 2_000_000));
        let mut looks = 0;
        let met = waiter.wait(until, || {
            looks += 1;
            false
        });
        assert!(!met && now_ns() >= now + 4_000_000);
        looks
    }

    #[test]
    fn on_a_shared_core_hybrid_sleeps_twice_and_never_polls() {
        // One look on arrival, two for each sleep, and one more for a sleep that a
        // signal ends early.
        let shared = looks(WaitStrategy::Hybrid, true);
        assert!(shared <= 8, "{shared} looks");
        let own = looks(WaitStrategy::Hybrid, false);
        assert!(own > 8, "on a core of its own it polls: {own} looks");
    }
}
