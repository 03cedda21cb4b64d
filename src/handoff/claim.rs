//! A value that one thread works on and another may look at once.
//!
//! Guarantees: at most one thread is in the value at a time; nobody ever waits,
//! a claim that comes at the wrong moment is refused. A panic inside gives the
//! value back as it was left. Not guaranteed: fairness; this is for a value whose
//! owner is in it all the time and that somebody else wants once, at the end.
//! Cost: two uncontended atomic operations a claim.

use crate::sync::{AtomicBool, Ordering, UnsafeCell};

/// A value to be claimed.
#[derive(Debug)]
pub struct Claimable<T> {
    claimed: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `claimed` lets one thread at a time reach `value`, so that sharing the
// whole only ever moves the value between threads.
unsafe impl<T: Send> Sync for Claimable<T> {}

/// Ends the claim, also when the claimant panics.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // SYNC: claim. What was written inside is seen by the next claimant.
        self.0.store(false, Ordering::Release);
    }
}

impl<T> Claimable<T> {
    /// A value that nobody has claimed.
    pub fn new(value: T) -> Self {
        Self {
            claimed: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `work` with the value, or does nothing where somebody has claimed it.
    pub fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        // SYNC: claim. Sees what the last claimant wrote.
        self.claimed
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        let _claim = Claim(&self.claimed);
        // SAFETY: the flag was clear and is set now by us alone; until `_claim` is
        // dropped, after the reference has ended, nobody else gets here.
        Some(self.value.with_mut(|value| work(unsafe { &mut *value })))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_claim_within_a_claim_is_refused_and_a_panic_gives_the_value_back() {
        let value = Claimable::new(1);
        let inner = value.try_with(|v| {
            *v += 1;
            value.try_with(|_| ())
        });
        assert_eq!(inner, Some(None));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            value.try_with(|_| panic!("inside"))
        }));
        assert!(panicked.is_err());
        assert_eq!(value.try_with(|v| *v), Some(2));
    }
}
