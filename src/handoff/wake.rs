//! Waiting for another thread without losing its wake-up.
//!
//! A thread owns one [`WakeWord`]; whatever it waits for (rings, a mailbox, the
//! stop flag), every thread that may make that true notifies this one word.
//! Waiting says so in the word and *then* looks; notifying changes the world
//! and *then* looks at the word:
//!
//! ```text
//! waiting thread                        notifying thread
//!   word = WAITING                        push, put, close, stop
//!   fence(SeqCst)        SYNC: wake       fence(SeqCst)
//!   look: ready?                          word == WAITING?
//!   no: sleep while word == WAITING       yes: word = AWAKE, wake
//! ```
//!
//! Guarantees: of the two looks at least one sees the other side, so no wake-up
//! is lost. The fences give that; acquire and release alone do not (both looks
//! may read the past). The loom models (`models.rs`) run this code with either fence
//! taken out and must then fail.
//!
//! Every change of the word is a swap, so that its changes have one order that
//! the fences carry over; loom, which keeps only the order it can derive, finds
//! lost wake-ups that no machine has when they are plain stores.
//!
//! Not guaranteed: that a wake-up means something is ready; callers look again.
//!
//! Cost: notifying a thread that is awake is a fence and a load, no system call.

use super::futex::{Futex, Return};
use crate::sync::{Ordering, fence};

const AWAKE: u32 = 0;
const WAITING: u32 = 1;

/// How [`WakeWord::sleep`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It was ready before falling asleep.
    Ready,
    /// Woken: look again.
    Woken,
    /// The deadline has passed.
    TimedOut,
}

/// The two fences of the protocol, so that a model can leave one out.
pub(crate) trait Fences {
    /// Between saying "waiting" and looking.
    #[inline]
    fn before_look() {
        fence(Ordering::SeqCst);
    }
    /// Between changing the world and looking whether somebody waits for it.
    #[inline]
    fn before_wake() {
        fence(Ordering::SeqCst);
    }
}

/// The protocol as it ships: both fences.
#[derive(Debug)]
pub(crate) struct Both;
impl Fences for Both {}

/// The word one thread sleeps on, alone in its cache lines (two, because of
/// the adjacent-line prefetcher).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct WakeWord {
    futex: Futex,
}

impl WakeWord {
    pub(crate) fn new() -> Self {
        Self {
            futex: Futex::new(AWAKE),
        }
    }

    /// Sleeps unless `ready`, until a notification or `deadline_ns`
    /// ([`super::futex::NEVER`] for none). Only the owning thread calls this.
    pub(crate) fn sleep<F: Fences>(
        &self,
        deadline_ns: u64,
        ready: &mut impl FnMut() -> bool,
    ) -> Sleep {
        let word = self.futex.word();
        word.swap(WAITING, Ordering::Relaxed);
        F::before_look(); // SYNC: wake
        let end = if ready() {
            Sleep::Ready
        } else {
            match self.futex.wait(WAITING, deadline_ns) {
                Return::Woken => Sleep::Woken,
                Return::TimedOut => Sleep::TimedOut,
            }
        };
        word.swap(AWAKE, Ordering::Relaxed);
        end
    }

    /// Wakes the owning thread if it sleeps or is about to. Call it after the
    /// change that it may be waiting for.
    #[inline]
    pub(crate) fn notify<F: Fences>(&self) {
        F::before_wake(); // SYNC: wake
        let word = self.futex.word();
        if word.load(Ordering::Relaxed) == WAITING && word.swap(AWAKE, Ordering::Relaxed) == WAITING
        {
            self.futex.wake();
        }
    }

    /// Model only: lets the deadline of a sleep pass.
    #[cfg(all(test, loom))]
    pub(crate) fn expire(&self) {
        self.futex.expire();
    }
}
