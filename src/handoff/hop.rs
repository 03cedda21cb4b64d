//! A hop: values from one thread to one other, in order, through a lock-free
//! ring.
//!
//! Guarantees: every value sent is received once, in order, or comes back to
//! the sender: [`HopTx::try_send`] hands a value back when the ring is full or
//! nobody is left to receive. Dropping either half is seen by the other; the
//! receiver gets what was sent before. Nothing is allocated after [`hop`].
//!
//! Not guaranteed: values still in the ring when the *receiver* is dropped are
//! never delivered; they are dropped with the last half.
//!
//! Cost: a send or a receive is one cache line moved between the cores, plus a
//! fence and a load for the wake word of the other thread; a system call only
//! to wake a sleeper.
//!
//! ```
//! use e4::pipeline::{hop, Received, Until, WaitStrategy, Waiter};
//!
//! let producer = Waiter::new(WaitStrategy::Park, false);
//! let mut consumer = Waiter::new(WaitStrategy::Hybrid, false);
//! let (mut tx, mut rx) = hop(8, &producer, &consumer);
//! std::thread::spawn(move || tx.try_send("a frame"));
//! let first = rx.recv(&mut consumer, Until::FOREVER);
//! let second = rx.recv(&mut consumer, Until::FOREVER);
//! assert_eq!((first, second), (Received::Item("a frame"), Received::Closed));
//! ```

use super::ring::{RingRx, RingTx, ring};
use super::wait::{Notifier, Until, Waiter};
use crate::sync::{Arc, AtomicBool, Ordering};

/// Which halves are still there.
#[derive(Debug)]
struct Ends {
    sender: AtomicBool,
    receiver: AtomicBool,
}

/// What [`HopRx::recv`] came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// The next value.
    Item(T),
    /// The deadline came first.
    TimedOut,
    /// The sender is gone and everything it sent has been received.
    Closed,
}

/// Why [`HopTx::send`] hands its value back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<T> {
    /// The ring stayed full until the deadline.
    TimedOut(T),
    /// The receiver is gone.
    Closed(T),
}

/// The sending half of a hop.
#[derive(Debug)]
pub struct HopTx<T> {
    ring: RingTx<T>,
    ends: Arc<Ends>,
    receiver: Notifier,
    own: Notifier,
}

/// The receiving half of a hop.
#[derive(Debug)]
pub struct HopRx<T> {
    ring: RingRx<T>,
    ends: Arc<Ends>,
    sender: Notifier,
    own: Notifier,
}

/// A hop of `capacity` values (at least one) from the thread that waits with
/// `sender` to the one that waits with `receiver`.
#[must_use]
pub fn hop<T>(capacity: usize, sender: &Waiter, receiver: &Waiter) -> (HopTx<T>, HopRx<T>) {
    let (tx, rx) = ring(capacity);
    let ends = Arc::new(Ends {
        sender: AtomicBool::new(true),
        receiver: AtomicBool::new(true),
    });
    let tx = HopTx {
        ring: tx,
        ends: ends.clone(),
        receiver: receiver.notifier(),
        own: sender.notifier(),
    };
    let rx = HopRx {
        ring: rx,
        ends,
        sender: sender.notifier(),
        own: receiver.notifier(),
    };
    (tx, rx)
}

impl<T> HopTx<T> {
    /// Sends `value`, or hands it back when the ring is full or the receiver
    /// is gone ([`is_closed`](Self::is_closed) tells which).
    ///
    /// # Errors
    /// The value itself.
    #[inline]
    pub fn try_send(&mut self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.ring.push(value)?;
        self.receiver.notify();
        Ok(())
    }

    /// Sends `value`, waiting with this thread's `waiter` while the ring is
    /// full.
    ///
    /// # Errors
    /// The value, with the reason.
    pub fn send(
        &mut self,
        waiter: &mut Waiter,
        value: T,
        until: Until,
    ) -> Result<(), SendError<T>> {
        debug_assert!(waiter.is_woken_by(&self.own), "another thread's waiter");
        let Err(value) = self.try_send(value) else {
            return Ok(());
        };
        let in_time = waiter.wait(until, || self.is_ready());
        self.try_send(value).map_err(|value| match in_time {
            true => SendError::Closed(value),
            false => SendError::TimedOut(value),
        })
    }

    /// True when sending would not have to wait: there is room, or nobody to
    /// wait for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ring.is_full() || self.is_closed()
    }

    /// True when the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.ends.receiver.load(Ordering::Acquire) // SYNC: receiver gone
    }
}

impl<T> HopRx<T> {
    /// The next value, if there is one.
    #[inline]
    pub fn try_recv(&mut self) -> Option<T> {
        let value = self.ring.pop()?;
        self.sender.notify();
        Some(value)
    }

    /// The next value, waiting for it with this thread's `waiter`.
    pub fn recv(&mut self, waiter: &mut Waiter, until: Until) -> Received<T> {
        debug_assert!(waiter.is_woken_by(&self.own), "another thread's waiter");
        let in_time = waiter.wait(until, || self.is_ready());
        match self.try_recv() {
            Some(value) => Received::Item(value),
            None if in_time => Received::Closed,
            None => Received::TimedOut,
        }
    }

    /// True when receiving would not have to wait: there is a value, or nobody
    /// to wait for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ring.is_empty() || self.sender_is_gone()
    }

    /// True when the sender is gone and everything it sent has been received.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // In this order: what was sent before the end is visible once the end is.
        self.sender_is_gone() && self.ring.is_empty()
    }

    fn sender_is_gone(&self) -> bool {
        !self.ends.sender.load(Ordering::Acquire) // SYNC: sender gone
    }
}

impl<T> Drop for HopTx<T> {
    fn drop(&mut self) {
        self.ends.sender.store(false, Ordering::Release); // SYNC: sender gone
        self.receiver.notify();
    }
}

impl<T> Drop for HopRx<T> {
    fn drop(&mut self) {
        self.ends.receiver.store(false, Ordering::Release); // SYNC: receiver gone
        self.sender.notify();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::monotonic::now_ns;
    use crate::pipeline::WaitStrategy;
    use std::thread;

    fn pair<T>(capacity: usize) -> (Waiter, Waiter, HopTx<T>, HopRx<T>) {
        let sender = Waiter::new(WaitStrategy::Park, false);
        let receiver = Waiter::new(WaitStrategy::Park, false);
        let (tx, rx) = hop(capacity, &sender, &receiver);
        (sender, receiver, tx, rx)
    }

    #[test]
    fn a_full_ring_hands_the_value_back() {
        let (mut sender, _, mut tx, mut rx) = pair(1);
        assert_eq!(tx.try_send(1), Ok(()));
        assert_eq!(tx.try_send(2), Err(2));
        let late = tx.send(&mut sender, 3, Until::deadline(now_ns() + 1_000_000));
        assert_eq!(late, Err(SendError::TimedOut(3)));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Some(1), None));
        assert!(tx.is_ready() && !tx.is_closed());
    }

    #[test]
    fn the_receiver_gets_what_was_sent_before_the_sender_went() {
        let (_, mut receiver, mut tx, mut rx) = pair(4);
        tx.try_send('a').unwrap();
        drop(tx);
        assert!(!rx.is_closed());
        assert_eq!(rx.recv(&mut receiver, Until::FOREVER), Received::Item('a'));
        assert!(rx.is_closed());
        assert_eq!(rx.recv(&mut receiver, Until::FOREVER), Received::Closed);
    }

    #[test]
    fn a_sender_on_a_full_ring_learns_that_the_receiver_went() {
        let (mut sender, _, mut tx, rx) = pair(1);
        tx.try_send(1).unwrap();
        let blocked = thread::spawn(move || tx.send(&mut sender, 2, Until::FOREVER));
        drop(rx);
        assert_eq!(blocked.join().unwrap(), Err(SendError::Closed(2)));
    }

    #[test]
    fn an_empty_hop_times_out_at_its_deadline() {
        let (_, mut receiver, _tx, mut rx) = pair::<u8>(1);
        let deadline = now_ns() + 2_000_000;
        let got = rx.recv(&mut receiver, Until::deadline(deadline));
        assert_eq!(got, Received::TimedOut);
        assert!(now_ns() >= deadline);
    }

    #[test]
    fn every_strategy_delivers_everything_in_order_through_a_small_ring() {
        // Few values where both sides poll: on a busy machine each hand-off may
        // cost a time slice.
        for (strategy, shared, values) in [
            (WaitStrategy::Spin, false, 50),
            (WaitStrategy::Hybrid, false, 500),
            (WaitStrategy::Hybrid, true, 2_000),
            (WaitStrategy::Park, true, 2_000),
        ] {
            let values = if cfg!(miri) { 20 } else { values };
            let mut sender = Waiter::new(strategy, shared);
            let mut receiver = Waiter::new(strategy, shared);
            let (mut tx, mut rx) = hop(2, &sender, &receiver);
            let producer = thread::spawn(move || {
                for i in 0..values {
                    tx.send(&mut sender, i, Until::FOREVER).unwrap();
                }
            });
            let soon = || Until::FOREVER.expecting(Some(now_ns() + 20_000));
            for i in 0..values {
                assert_eq!(rx.recv(&mut receiver, soon()), Received::Item(i));
            }
            producer.join().unwrap();
            assert_eq!(rx.recv(&mut receiver, soon()), Received::Closed);
        }
    }
}
