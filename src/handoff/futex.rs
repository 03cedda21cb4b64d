//! A 32-bit word that a thread can sleep on: the kernel's futex, or under loom
//! a model of it.
//!
//! Guarantees: [`Futex::wait`] compares the word and falls asleep as one step
//! with respect to [`Futex::wake`], so a wake after the word changed is never
//! lost. Not guaranteed: that a return means a wake (signals, a value already
//! changed); callers look again. Orders no other memory: see [`super::wake`].
//!
//! Cost: one system call each; `wait` with a deadline is an absolute
//! `CLOCK_MONOTONIC` timeout, so an early return and a second call do not drift.

/// Why [`Futex::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Woken, or no reason to sleep any more: look again.
    Woken,
    /// The deadline has passed.
    TimedOut,
}

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

#[cfg(loom)]
pub(crate) use model::Futex;
#[cfg(not(loom))]
pub(crate) use system::Futex;

#[cfg(not(loom))]
mod system {
    use super::{NEVER, Return};
    use crate::sync::AtomicU32;
    use std::ptr;

    /// The kernel's futex, private to the process.
    #[derive(Debug)]
    pub(crate) struct Futex {
        word: AtomicU32,
    }

    impl Futex {
        pub(crate) fn new(value: u32) -> Self {
            Self {
                word: AtomicU32::new(value),
            }
        }

        #[inline]
        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.word
        }

        /// Sleeps while the word holds `expected`, until a wake or until
        /// `deadline_ns` of [`crate::monotonic`].
        pub(crate) fn wait(&self, expected: u32, deadline_ns: u64) -> Return {
            let timeout = timespec(deadline_ns);
            let timeout = match deadline_ns {
                NEVER => ptr::null(),
                _ => ptr::from_ref(&timeout),
            };
            // SAFETY: the word and the timeout outlive the call; the kernel
            // writes to neither. With a bitset the timeout is absolute.
            let rc = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.word.as_ptr(),
                    libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
                    expected,
                    timeout,
                    ptr::null::<u32>(),
                    libc::FUTEX_BITSET_MATCH_ANY,
                )
            };
            match nix::errno::Errno::last() {
                nix::errno::Errno::ETIMEDOUT if rc == -1 => Return::TimedOut,
                _ => Return::Woken,
            }
        }

        /// Wakes the thread that sleeps on the word, if any.
        pub(crate) fn wake(&self) {
            // SAFETY: the word outlives the call, which reads no memory of ours.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.word.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                );
            }
        }
    }

    /// `ns` as the kernel wants it; a time beyond its range becomes the last
    /// one that it can say.
    fn timespec(ns: u64) -> libc::timespec {
        libc::timespec {
            tv_sec: (ns / 1_000_000_000).try_into().unwrap_or(i64::MAX),
            tv_nsec: libc::c_long::try_from(ns % 1_000_000_000).unwrap_or(0),
        }
    }
}

#[cfg(loom)]
mod model {
    use super::{NEVER, Return};
    use crate::sync::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    /// The kernel's bucket lock is a mutex, its queue a condition variable, and
    /// its clock whoever calls [`Futex::expire`].
    #[derive(Debug)]
    pub(crate) struct Futex {
        word: AtomicU32,
        expired: Mutex<bool>,
        queue: Condvar,
    }

    impl Futex {
        pub(crate) fn new(value: u32) -> Self {
            Self {
                word: AtomicU32::new(value),
                expired: Mutex::new(false),
                queue: Condvar::new(),
            }
        }

        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.word
        }

        pub(crate) fn wait(&self, expected: u32, deadline_ns: u64) -> Return {
            let mut expired = self.expired.lock().unwrap();
            if self.word.load(Ordering::Relaxed) != expected {
                return Return::Woken;
            }
            if !(deadline_ns != NEVER && *expired) {
                expired = self.queue.wait(expired).unwrap();
            }
            if deadline_ns != NEVER && *expired {
                Return::TimedOut
            } else {
                Return::Woken
            }
        }

        pub(crate) fn wake(&self) {
            let _bucket = self.expired.lock().unwrap();
            self.queue.notify_one();
        }

        /// Lets every deadline pass.
        #[cfg(test)]
        pub(crate) fn expire(&self) {
            *self.expired.lock().unwrap() = true;
            self.queue.notify_one();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::monotonic::now_ns;

    #[test]
    fn a_changed_word_is_no_reason_to_sleep() {
        assert_eq!(Futex::new(1).wait(0, NEVER), Return::Woken);
    }

    #[test]
    fn a_deadline_is_kept_and_one_in_the_past_returns_at_once() {
        let futex = Futex::new(0);
        let deadline = now_ns() + 2_000_000;
        while futex.wait(0, deadline) == Return::Woken {}
        assert!(now_ns() >= deadline);
        assert_eq!(futex.wait(0, 0), Return::TimedOut);
    }
}
