//! Loom models of our hand-off protocols: every interleaving, and every stale
//! read that the memory model allows, of the code that ships, over a model ring
//! ([`super::ring`]) and a model futex ([`super::futex`]).
//!
//! A lost wake-up shows as a deadlock, an unsynchronised access of a slot as a
//! cell violation. The models of the wake protocol run once more with either
//! fence taken out and must fail then: the check itself is checked.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release --lib loom_`

use super::futex::NEVER;
use super::ring::ring;
use super::wake::{Both, Fences, Sleep, WakeWord};
use super::{
    Claimable, Followed, Received, SendError, Until, WaitStrategy, Waiter, follow, hop, mailbox,
};
use crate::sync::Arc;
use crate::tensor::SlotPool;
use loom::thread;

/// A deadline that passes when the model's clock says so.
const SOME_TIME: Until = Until::deadline(NEVER - 1);

struct NoWaitFence;
impl Fences for NoWaitFence {
    fn before_look() {}
}

struct NoNotifyFence;
impl Fences for NoNotifyFence {
    fn before_wake() {}
}

fn waiter() -> Waiter {
    Waiter::new(WaitStrategy::Park, false)
}

/// Explores schedules with at most `switches` forced context switches; the
/// larger models would not end otherwise.
fn bounded(switches: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}

/// Two values through a ring to a consumer that sleeps when it runs dry.
fn push_and_wake<F: Fences>() {
    let word = Arc::new(WakeWord::new());
    let (mut tx, mut rx) = ring(2);
    let producer = {
        let word = word.clone();
        thread::spawn(move || {
            for value in 0..2 {
                tx.push(value).unwrap();
                word.notify::<F>();
            }
        })
    };
    for expected in 0..2 {
        let value = loop {
            match rx.pop() {
                Some(value) => break value,
                None => word.sleep::<F>(NEVER, &mut || !rx.is_empty()),
            };
        };
        assert_eq!(value, expected);
    }
    producer.join().unwrap();
}

#[test]
fn loom_a_wake_up_is_never_lost() {
    loom::model(push_and_wake::<Both>);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_the_fence_of_the_waiter_a_wake_up_is_lost() {
    loom::model(push_and_wake::<NoWaitFence>);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_the_fence_of_the_notifier_a_wake_up_is_lost() {
    loom::model(push_and_wake::<NoNotifyFence>);
}

/// A timed sleep, whose deadline passes at any moment, then an untimed one.
fn sleep_until_then_sleep<F: Fences>() {
    let word = Arc::new(WakeWord::new());
    let (mut tx, mut rx) = ring(1);
    let clock = {
        let word = word.clone();
        thread::spawn(move || word.expire())
    };
    let producer = {
        let word = word.clone();
        thread::spawn(move || {
            tx.push(7).unwrap();
            word.notify::<F>();
        })
    };
    let mut deadline = NEVER - 1;
    let value = loop {
        if let Some(value) = rx.pop() {
            break value;
        }
        if word.sleep::<F>(deadline, &mut || !rx.is_empty()) == Sleep::TimedOut {
            deadline = NEVER;
        }
    };
    assert_eq!(value, 7);
    producer.join().unwrap();
    clock.join().unwrap();
}

#[test]
fn loom_a_timed_sleep_loses_no_wake_up() {
    bounded(3, sleep_until_then_sleep::<Both>);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_the_fence_of_the_waiter_a_timed_sleep_loses_one() {
    bounded(3, sleep_until_then_sleep::<NoWaitFence>);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_the_fence_of_the_notifier_a_timed_sleep_loses_one() {
    bounded(3, sleep_until_then_sleep::<NoNotifyFence>);
}

#[test]
fn loom_two_producers_share_one_wake_word() {
    bounded(2, || {
        let (mut me, a, b) = (waiter(), waiter(), waiter());
        let (mut tx_a, mut rx_a) = hop(1, &a, &me);
        let (mut tx_b, mut rx_b) = hop(1, &b, &me);
        let a = thread::spawn(move || tx_a.try_send(1).unwrap());
        let b = thread::spawn(move || tx_b.try_send(2).unwrap());
        let mut sum = 0;
        while !(rx_a.is_closed() && rx_b.is_closed()) {
            me.wait(Until::FOREVER, || {
                rx_a.is_ready() && !rx_a.is_closed()
                    || rx_b.is_ready() && !rx_b.is_closed()
                    || rx_a.is_closed() && rx_b.is_closed()
            });
            sum += rx_a.try_recv().unwrap_or(0) + rx_b.try_recv().unwrap_or(0);
        }
        assert_eq!(sum, 3);
        a.join().unwrap();
        b.join().unwrap();
    });
}

#[test]
fn loom_a_full_ring_holds_the_sender_back_and_lets_it_go() {
    bounded(3, || {
        let (mut sender, mut receiver) = (waiter(), waiter());
        let (mut tx, mut rx) = hop(1, &sender, &receiver);
        let producer = thread::spawn(move || {
            for value in 0..3 {
                tx.send(&mut sender, value, Until::FOREVER).unwrap();
            }
        });
        for value in 0..3 {
            let got = rx.recv(&mut receiver, Until::FOREVER);
            assert_eq!(got, Received::Item(value));
        }
        assert_eq!(rx.recv(&mut receiver, Until::FOREVER), Received::Closed);
        producer.join().unwrap();
    });
}

#[test]
fn loom_what_was_sent_before_the_sender_went_is_received() {
    loom::model(|| {
        let (sender, mut receiver) = (waiter(), waiter());
        let (mut tx, mut rx) = hop(2, &sender, &receiver);
        let producer = thread::spawn(move || tx.try_send(1).unwrap());
        assert_eq!(rx.recv(&mut receiver, Until::FOREVER), Received::Item(1));
        assert_eq!(rx.recv(&mut receiver, Until::FOREVER), Received::Closed);
        producer.join().unwrap();
    });
}

#[test]
fn loom_a_sender_on_a_full_ring_learns_that_the_receiver_went() {
    loom::model(|| {
        let (mut sender, receiver) = (waiter(), waiter());
        let (mut tx, rx) = hop(1, &sender, &receiver);
        tx.try_send(1).unwrap();
        let consumer = thread::spawn(move || drop(rx));
        let sent = tx.send(&mut sender, 2, Until::FOREVER);
        assert_eq!(sent, Err(SendError::Closed(2)));
        consumer.join().unwrap();
    });
}

#[test]
fn loom_a_receive_that_times_out_loses_nothing() {
    bounded(3, || {
        let (sender, mut receiver) = (waiter(), waiter());
        let clock = receiver.word();
        let (mut tx, mut rx) = hop(1, &sender, &receiver);
        let clock = thread::spawn(move || clock.expire());
        let producer = thread::spawn(move || tx.try_send(1).unwrap());
        let got = match rx.recv(&mut receiver, SOME_TIME) {
            Received::TimedOut => rx.recv(&mut receiver, Until::FOREVER),
            got => got,
        };
        assert_eq!(got, Received::Item(1));
        producer.join().unwrap();
        clock.join().unwrap();
    });
}

#[test]
fn loom_every_element_of_a_mailbox_is_taken_or_handed_back_in_order() {
    bounded(3, || {
        let mut me = waiter();
        let (mut tx, mut rx) = mailbox(&me);
        let producer = thread::spawn(move || {
            (1..=3)
                .filter_map(|value| tx.put(Box::new(value)))
                .map(|older| *older)
                .collect::<Vec<i32>>()
        });
        let mut taken = Vec::new();
        while let Received::Item(value) = rx.recv(&mut me, Until::FOREVER) {
            taken.push(*value);
        }
        let back = producer.join().unwrap();
        assert!(taken.is_sorted() && back.is_sorted());
        assert_eq!(taken.last(), Some(&3), "the newest is never superseded");
        let mut all = [taken, back].concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn loom_capture_never_runs_out_of_slots_and_never_shares_one() {
    bounded(2, || {
        let (_, mut free) = SlotPool::new(3, 1);
        let (mut infer, capture) = (waiter(), waiter());
        let (mut tx, mut rx) = mailbox(&infer);
        let (mut back_tx, mut back_rx) = hop(3, &infer, &capture);
        let producer = thread::spawn(move || {
            for sequence in 0..3 {
                free.extend(back_rx.try_recv());
                let mut slot = free.pop().expect("a slot is free");
                slot.meta.sequence = sequence;
                free.extend(tx.put(slot));
            }
        });
        let mut next = 0;
        while let Received::Item(mut slot) = rx.recv(&mut infer, Until::FOREVER) {
            assert!(slot.meta.sequence >= next);
            next = slot.meta.sequence + 1;
            slot.meta.label = Some(1);
            let _ = back_tx.try_send(slot);
        }
        assert_eq!(next, 3);
        producer.join().unwrap();
    });
}

#[test]
fn loom_a_shutdown_runs_down_the_chain_and_drains_it() {
    bounded(2, || {
        let (mut infer, mut gate) = (waiter(), waiter());
        let (mut put, mut frames) = mailbox(&infer);
        let (mut verdicts, mut judged) = hop(1, &infer, &gate);
        let capture = thread::spawn(move || assert_eq!(put.put(1), None));
        let infer = thread::spawn(move || {
            while let Received::Item(frame) = frames.recv(&mut infer, Until::FOREVER) {
                verdicts.try_send(frame).unwrap();
            }
        });
        assert_eq!(judged.recv(&mut gate, Until::FOREVER), Received::Item(1));
        assert_eq!(judged.recv(&mut gate, Until::FOREVER), Received::Closed);
        capture.join().unwrap();
        infer.join().unwrap();
    });
}

#[test]
fn loom_capture_learns_that_infer_went() {
    loom::model(|| {
        let (mut capture, infer) = (waiter(), waiter());
        let (put, frames) = mailbox::<u8>(&infer);
        let (back, mut free) = hop::<u8>(1, &infer, &capture);
        let infer = thread::spawn(move || drop((frames, back)));
        assert_eq!(free.recv(&mut capture, Until::FOREVER), Received::Closed);
        assert!(put.is_closed(), "infer left in this order");
        infer.join().unwrap();
    });
}

#[test]
fn loom_a_claimable_value_has_one_claimant_at_a_time() {
    loom::model(|| {
        let value = Arc::new(Claimable::new(0));
        let other = value.clone();
        let owner =
            thread::spawn(move || (0..2).filter_map(|_| other.try_with(|v| *v += 1)).count());
        let seen = value.try_with(|v| *v);
        let counted = owner.join().unwrap();
        assert!(seen.is_none_or(|seen| seen <= 2));
        assert_eq!(value.try_with(|v| *v), Some(counted));
    });
}

/// The dvfs thread: events from infer, a plan from whoever replans, the end.
#[test]
fn loom_a_follower_sees_every_event_and_the_newest_plan_and_ends() {
    bounded(2, || {
        let (infer, mut own) = (waiter(), waiter());
        let (mut tx, mut port, mut follower) = follow::<u8, Box<u8>>(2, &infer, &own);
        let infer = thread::spawn(move || {
            for event in 0..2 {
                tx.try_send(event).unwrap();
            }
        });
        let planner = thread::spawn(move || {
            let older = [1, 2].map(|plan| port.put(Box::new(plan)).is_some());
            usize::from(older[0]) + usize::from(older[1])
        });
        let (mut events, mut plans) = (0, 0);
        let mut plan = Box::new(0);
        loop {
            match follower.next(&mut own, NEVER) {
                Followed::Event(event) => {
                    assert_eq!(event, events);
                    events += 1;
                }
                Followed::Plan(next) => {
                    assert!(*next > *plan, "an older plan came later");
                    plans += 1;
                    follower.give_back(std::mem::replace(&mut plan, next));
                }
                Followed::TimedOut => {}
                Followed::Ended => break,
            }
        }
        assert_eq!(events, 2);
        let superseded = planner.join().unwrap();
        assert!(plans + superseded <= 2, "a plan was taken twice");
        infer.join().unwrap();
    });
}

#[test]
fn loom_a_follower_whose_time_comes_loses_no_event() {
    bounded(3, || {
        let (infer, mut own) = (waiter(), waiter());
        let clock = own.word();
        let (mut tx, _port, mut follower) = follow::<u8, u8>(1, &infer, &own);
        let clock = thread::spawn(move || clock.expire());
        let infer = thread::spawn(move || tx.try_send(1).unwrap());
        let mut got = follower.next(&mut own, NEVER - 1);
        if got == Followed::TimedOut {
            got = follower.next(&mut own, NEVER);
        }
        assert_eq!(got, Followed::Event(1));
        assert_eq!(follower.next(&mut own, NEVER), Followed::Ended);
        clock.join().unwrap();
        infer.join().unwrap();
    });
}

#[test]
fn loom_an_event_for_a_follower_that_went_comes_back() {
    loom::model(|| {
        let (infer, own) = (waiter(), waiter());
        let (mut tx, port, follower) = follow::<u8, u8>(1, &infer, &own);
        let gone = thread::spawn(move || drop(follower));
        let first = tx.try_send(1);
        gone.join().unwrap();
        assert!(port.is_closed());
        assert_eq!(tx.try_send(2), Err(2));
        drop(first);
    });
}
