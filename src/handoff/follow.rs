//! A thread that follows others: events from one thread, now and then a new plan
//! from another, and a time by which it has to be awake.
//!
//! Guarantees: events come in order, and those sent before their sender went come
//! before the end; of several plans put the newest comes; a plan that was replaced
//! goes back to who puts them, so that the follower frees nothing. Nothing is
//! allocated after [`follow`]. Not guaranteed: that an event finds room
//! ([`HopTx::try_send`] hands it back); nobody waits for a follower.
//!
//! Cost: that of a hop for an event, of a mailbox for a plan.

use super::hop::{HopRx, HopTx, hop};
use super::mailbox::{MailboxRx, MailboxTx, mailbox};
use super::strategy::WaitStrategy;
use super::wait::{Until, Waiter};

/// Plans that may be on their way back: one for each put since the last.
const BACK: usize = 4;

/// What a follower is to deal with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed<E, P> {
    /// Something happened.
    Event(E),
    /// A new plan.
    Plan(P),
    /// The time has come.
    TimedOut,
    /// The events have ended.
    Ended,
}

/// The follower's end.
#[derive(Debug)]
pub struct Follower<E, P> {
    events: HopRx<E>,
    plans: MailboxRx<P>,
    back: HopTx<P>,
}

/// Where plans are put in.
#[derive(Debug)]
pub struct PlanPort<P> {
    plans: MailboxTx<P>,
    back: HopRx<P>,
}

/// A follower that waits with `own`, and who sends it up to `capacity` events at a
/// time and waits with `sender`.
#[must_use]
pub fn follow<E, P>(
    capacity: usize,
    sender: &Waiter,
    own: &Waiter,
) -> (HopTx<E>, PlanPort<P>, Follower<E, P>) {
    let (tx, events) = hop(capacity, sender, own);
    let (put, plans) = mailbox(own);
    let nobody = Waiter::new(WaitStrategy::Park, false);
    let (back, returned) = hop(BACK, own, &nobody);
    let port = PlanPort {
        plans: put,
        back: returned,
    };
    let follower = Follower {
        events,
        plans,
        back,
    };
    (tx, port, follower)
}

impl<E, P> Follower<E, P> {
    /// The next thing to deal with, until `deadline_ns` at most.
    pub fn next(&mut self, waiter: &mut Waiter, deadline_ns: u64) -> Followed<E, P> {
        let (events, plans) = (&self.events, &self.plans);
        let has_plan = || plans.is_ready() && !plans.is_closed();
        let in_time = waiter.wait(Until::deadline(deadline_ns), || {
            events.is_ready() || has_plan()
        });
        if let Some(event) = self.events.try_recv() {
            return Followed::Event(event);
        }
        if let Some(plan) = self.plans.take() {
            return Followed::Plan(plan);
        }
        match in_time {
            true if self.events.is_closed() => Followed::Ended,
            // What woke it was taken before, or comes next.
            _ => Followed::TimedOut,
        }
    }

    /// Hands a plan back that was replaced.
    pub fn give_back(&mut self, plan: P) {
        // Where nobody takes it, no plan will come again, and it is freed here.
        let _ = self.back.try_send(plan);
    }
}

impl<P> PlanPort<P> {
    /// Puts a plan in; one that was put before and not taken comes back. Frees those
    /// that were replaced.
    pub fn put(&mut self, plan: P) -> Option<P> {
        while self.back.try_recv().is_some() {}
        self.plans.put(plan)
    }

    /// True when the follower is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.plans.is_closed()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::monotonic::now_ns;

    #[test]
    fn events_plans_deadline_and_end_are_told_apart() {
        let (sender, mut own) = (
            Waiter::new(WaitStrategy::Park, false),
            Waiter::new(WaitStrategy::Park, false),
        );
        let (mut tx, mut port, mut follower) = follow(2, &sender, &own);
        tx.try_send(1).unwrap();
        assert_eq!(port.put("a"), None);
        assert_eq!(port.put("b"), Some("a"));
        assert_eq!(follower.next(&mut own, u64::MAX), Followed::Event(1));
        assert_eq!(follower.next(&mut own, u64::MAX), Followed::Plan("b"));
        follower.give_back("b");
        drop(port);
        let soon = now_ns() + 1_000_000;
        assert_eq!(follower.next(&mut own, soon), Followed::TimedOut);
        tx.try_send(2).unwrap();
        drop(tx);
        assert_eq!(follower.next(&mut own, u64::MAX), Followed::Event(2));
        assert_eq!(follower.next(&mut own, u64::MAX), Followed::Ended);
    }
}
