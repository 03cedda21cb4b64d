//! A mailbox for one element: the newest put is the one taken (policy
//! `newest`).
//!
//! Three cells and one word. At any time the producer owns one cell, the
//! consumer one, and the word names the third and says whether it holds an
//! element that was not taken yet. Each side fills or empties its own cell and
//! swaps it against the one in the word, so the three cells are always shared
//! out between three owners and neither side ever waits for the other.
//!
//! Guarantees: what [`MailboxRx::take`] returns is the newest element put;
//! [`MailboxTx::put`] hands the older one that nobody took back to the producer,
//! so every element is taken once or handed back, and a producer that has one
//! element more than two (one in the mailbox, one with the consumer) never runs
//! out. Wait-free on both sides; allocates nothing after [`mailbox`].
//!
//! Not guaranteed: an element put after the last take is dropped with the
//! mailbox.
//!
//! Cost: one atomic swap; an empty take is one load. `put` adds the fence and
//! the load of a notification.
//!
//! ```
//! use e4::pipeline::{mailbox, WaitStrategy, Waiter};
//!
//! let infer = Waiter::new(WaitStrategy::Hybrid, false);
//! let (mut capture, mut frames) = mailbox(&infer);
//! assert_eq!(capture.put("frame 0"), None);
//! assert_eq!(capture.put("frame 1"), Some("frame 0"));
//! assert_eq!(frames.take(), Some("frame 1"));
//! assert_eq!(frames.take(), None);
//! ```

use super::Received;
use super::wait::{Notifier, Until, Waiter};
use crate::sync::{Arc, AtomicBool, AtomicU32, Ordering, UnsafeCell};

/// Which cell the word names.
const CELL: u32 = 0b011;
/// Set while that cell holds an element that was not taken.
const FRESH: u32 = 0b100;

#[derive(Debug)]
struct Shared<T> {
    cells: [UnsafeCell<Option<T>>; 3],
    word: Word,
    producer: AtomicBool,
    consumer: AtomicBool,
}

/// The word both sides write, alone in its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Word(AtomicU32);

// SAFETY: a cell is touched by its owner alone. The producer starts with cell
// 0, the word with 1, the consumer with 2, and ownership moves by swaps of the
// word, which order the accesses of one owner before those of the next.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: it holds nothing but `T`s and atomics.
unsafe impl<T: Send> Send for Shared<T> {}

/// The producer's half of a mailbox.
#[derive(Debug)]
pub struct MailboxTx<T> {
    shared: Arc<Shared<T>>,
    cell: u32,
    consumer: Notifier,
}

/// The consumer's half of a mailbox.
#[derive(Debug)]
pub struct MailboxRx<T> {
    shared: Arc<Shared<T>>,
    cell: u32,
    own: Notifier,
}

/// An empty mailbox whose consumer waits with `consumer`.
#[must_use]
pub fn mailbox<T>(consumer: &Waiter) -> (MailboxTx<T>, MailboxRx<T>) {
    let shared = Arc::new(Shared {
        cells: std::array::from_fn(|_| UnsafeCell::new(None)),
        word: Word(AtomicU32::new(1)),
        producer: AtomicBool::new(true),
        consumer: AtomicBool::new(true),
    });
    let tx = MailboxTx {
        shared: shared.clone(),
        cell: 0,
        consumer: consumer.notifier(),
    };
    let rx = MailboxRx {
        shared,
        cell: 2,
        own: consumer.notifier(),
    };
    (tx, rx)
}

impl<T> Shared<T> {
    /// Swaps the contents of `cell`, which the caller owns, for `value`.
    fn exchange(&self, cell: u32, value: Option<T>) -> Option<T> {
        self.cells[cell as usize].with_mut(|cell| {
            // SAFETY: the caller owns the cell (see `Shared`).
            std::mem::replace(unsafe { &mut *cell }, value)
        })
    }
}

impl<T> MailboxTx<T> {
    /// Puts `value` in and returns the older one, if it was not taken.
    #[inline]
    pub fn put(&mut self, value: T) -> Option<T> {
        self.shared.exchange(self.cell, Some(value));
        let full = self.cell | FRESH;
        let old = self.shared.word.0.swap(full, Ordering::AcqRel); // SYNC: mailbox
        self.cell = old & CELL;
        self.consumer.notify();
        self.shared.exchange(self.cell, None)
    }

    /// True when the consumer is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.shared.consumer.load(Ordering::Acquire) // SYNC: consumer gone
    }
}

impl<T> MailboxRx<T> {
    /// Takes the newest element put, if it was not taken before.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        if !self.is_full() {
            return None;
        }
        let old = self.shared.word.0.swap(self.cell, Ordering::AcqRel); // SYNC: mailbox
        self.cell = old & CELL;
        self.shared.exchange(self.cell, None)
    }

    /// Takes the newest element, waiting for one with this thread's `waiter`.
    pub fn recv(&mut self, waiter: &mut Waiter, until: Until) -> Received<T> {
        debug_assert!(waiter.is_woken_by(&self.own), "another thread's waiter");
        let in_time = waiter.wait(until, || self.is_ready());
        match self.take() {
            Some(value) => Received::Item(value),
            None if in_time => Received::Closed,
            None => Received::TimedOut,
        }
    }

    /// True when there is an element to take, or nobody to wait for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_full() || self.producer_is_gone()
    }

    /// True when the producer is gone and nothing is left to take.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // In this order: what was put before the end is visible once the end is.
        self.producer_is_gone() && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.shared.word.0.load(Ordering::Relaxed) & FRESH != 0
    }

    fn producer_is_gone(&self) -> bool {
        !self.shared.producer.load(Ordering::Acquire) // SYNC: producer gone
    }
}

impl<T> Drop for MailboxTx<T> {
    fn drop(&mut self) {
        self.shared.producer.store(false, Ordering::Release); // SYNC: producer gone
        self.consumer.notify();
    }
}

impl<T> Drop for MailboxRx<T> {
    fn drop(&mut self) {
        self.shared.consumer.store(false, Ordering::Release); // SYNC: consumer gone
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::monotonic::now_ns;
    use crate::pipeline::WaitStrategy;
    use crate::tensor::SlotPool;
    use std::thread;

    #[test]
    fn an_empty_mailbox_times_out_and_a_left_one_is_drained_first() {
        let mut me = Waiter::new(WaitStrategy::Park, false);
        let (mut tx, mut rx) = mailbox(&me);
        let soon = Until::deadline(now_ns() + 1_000_000);
        assert_eq!(rx.recv(&mut me, soon), Received::TimedOut);
        tx.put(5);
        drop(tx);
        assert_eq!(rx.recv(&mut me, Until::FOREVER), Received::Item(5));
        assert_eq!(rx.recv(&mut me, Until::FOREVER), Received::Closed);
    }

    #[test]
    fn the_producer_learns_that_the_consumer_went() {
        let (tx, rx) = mailbox::<u8>(&Waiter::new(WaitStrategy::Park, false));
        assert!(!tx.is_closed());
        drop(rx);
        assert!(tx.is_closed());
    }

    #[test]
    fn three_slots_suffice_and_every_frame_is_taken_or_handed_back() {
        const FRAMES: u64 = if cfg!(miri) { 100 } else { 20_000 };
        let (_, mut free) = SlotPool::new(3, 8);
        let mut me = Waiter::new(WaitStrategy::Hybrid, false);
        let capture = Waiter::new(WaitStrategy::Park, false);
        let (mut tx, mut rx) = mailbox(&me);
        let (mut back_tx, mut back_rx) = crate::pipeline::hop(3, &me, &capture);
        let producer = thread::spawn(move || {
            let mut superseded = 0;
            for sequence in 0..FRAMES {
                free.extend(std::iter::from_fn(|| back_rx.try_recv()));
                let mut slot = free.pop().expect("capture never runs out of slots");
                slot.meta.sequence = sequence;
                if let Some(older) = tx.put(slot) {
                    superseded += 1;
                    free.push(older);
                }
            }
            superseded
        });
        let (mut taken, mut next) = (0, 0);
        while let Received::Item(slot) = rx.recv(&mut me, Until::FOREVER) {
            assert!(slot.meta.sequence >= next, "an older frame came later");
            next = slot.meta.sequence + 1;
            taken += 1;
            // The producer may be gone already; then the slot is not missed.
            let _ = back_tx.try_send(slot);
        }
        assert_eq!(next, FRAMES, "the last frame put is the last one taken");
        assert_eq!(taken + producer.join().unwrap(), FRAMES);
    }
}
