//! `ringbuf`, the ring under every hop, used as the hop uses it: split, caching
//! endpoints, one thread on each side. What goes in comes out once, whole and in
//! order, and what is left is dropped once. `tests/miri/run` runs this file
//! under Miri, which also sees data races that this machine does not show.

use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use std::sync::Arc;
use std::thread;

const VALUES: u64 = if cfg!(miri) { 150 } else { 300_000 };

/// Wide enough that a torn read would show.
type Wide = [u64; 8];

fn wide(i: u64) -> Wide {
    let mut value = [0; 8];
    for (k, word) in (0..).zip(&mut value) {
        *word = i.rotate_left(7 * k);
    }
    value
}

/// A pause now and then, so that full, empty and in between all occur.
fn dawdle(seed: &mut u64) {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    if *seed >> 58 == 0 {
        thread::yield_now();
    }
}

fn stream(capacity: usize) {
    let (mut tx, mut rx) = HeapRb::<Wide>::new(capacity).split();
    let producer = thread::spawn(move || {
        let mut seed = 1;
        for i in 0..VALUES {
            let mut value = wide(i);
            while let Err(back) = tx.try_push(value) {
                value = back;
                thread::yield_now();
            }
            dawdle(&mut seed);
        }
    });
    let mut seed = 2;
    for i in 0..VALUES {
        let value = loop {
            match rx.try_pop() {
                Some(value) => break value,
                None => thread::yield_now(),
            }
        };
        assert_eq!(value, wide(i));
        dawdle(&mut seed);
    }
    producer.join().expect("the producer ends");
    assert!(rx.is_empty());
}

#[test]
fn a_stream_through_a_ring_of_one_is_whole_and_in_order() {
    stream(1);
}

#[test]
fn a_stream_through_a_small_odd_ring_is_whole_and_in_order() {
    stream(3);
}

#[test]
fn a_stream_through_a_large_ring_is_whole_and_in_order() {
    stream(64);
}

#[test]
fn what_is_left_in_the_ring_is_dropped_once() {
    let token = Arc::new(());
    let (mut tx, mut rx) = HeapRb::new(4).split();
    let producer = {
        let token = token.clone();
        thread::spawn(move || {
            let mut sent = 0;
            for _ in 0..VALUES / 10 {
                sent += u64::from(tx.try_push(token.clone()).is_ok());
            }
            sent
        })
    };
    let mut received = 0;
    for _ in 0..VALUES / 10 {
        received += u64::from(rx.try_pop().is_some());
    }
    let sent = producer.join().unwrap();
    let left = u64::try_from(rx.occupied_len()).unwrap();
    assert_eq!(sent, received + left);
    assert_eq!(Arc::strong_count(&token) as u64, 1 + left);
    drop(rx);
    assert_eq!(Arc::strong_count(&token), 1);
}
