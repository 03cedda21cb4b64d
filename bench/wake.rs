//! *Wake-up*: from sending to receiving when the receiver waits for a 30 fps
//! producer on another core, by `hybrid` and by the plain futex (`park`), with
//! the receiver's share of a core.

use crate::Request;
use crate::hop::{Message, send};
use crate::host::Host;
use crate::table::{Row, median};
use e4::monotonic::now_ns;
use e4::pipeline::{ArrivalPredictor, Received, Until, WaitStrategy, Waiter, hop};
use nix::time::{ClockId, clock_gettime};
use std::thread;
use std::time::Duration;

/// Frames of one turn, and those that do not count.
const FRAMES: u64 = 60;
const WARM_UP: u64 = 10;
const INTERVAL_NS: u64 = 33_333_333;

/// What one strategy came to.
#[derive(Default)]
struct Turns {
    latencies: Vec<f64>,
    medians: Vec<f64>,
    shares: Vec<f64>,
}

/// Latencies of one turn in microseconds, and the receiver's share of a core.
fn wake_ups(host: Host, strategy: WaitStrategy) -> (Vec<f64>, f64) {
    let producer = Waiter::new(WaitStrategy::Park, false);
    let mut me = Waiter::new(strategy, false);
    let (mut tx, mut rx) = hop::<Message>(8, &producer, &me);
    let producer = thread::spawn(move || {
        host.set_up(host.first);
        let mut waiter = producer;
        let start = now_ns() + INTERVAL_NS;
        for frame in 0..FRAMES {
            waiter.wait(Until::deadline(start + frame * INTERVAL_NS), || false);
            send(&mut tx, (frame, now_ns()));
        }
    });
    let consumer = thread::spawn(move || {
        host.set_up(host.last);
        let mut predictor = ArrivalPredictor::new(Some(INTERVAL_NS));
        let mut latencies = Vec::new();
        let (mut since, mut cpu) = (now_ns(), cpu_ns());
        loop {
            let until = Until::FOREVER.expecting(predictor.next_after(now_ns()));
            let Received::Item((frame, sent_ns)) = rx.recv(&mut me, until) else {
                break;
            };
            let now = now_ns();
            predictor.observe(frame, sent_ns);
            match frame.cmp(&WARM_UP) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => (since, cpu) = (now, cpu_ns()),
                std::cmp::Ordering::Greater => latencies.push((now - sent_ns) as f64 / 1e3),
            }
        }
        let share = (cpu_ns() - cpu) as f64 / (now_ns() - since) as f64;
        (latencies, share)
    });
    let sent = producer.join();
    let received = consumer.join();
    received
        .and_then(|r| sent.map(|()| r))
        .unwrap_or((Vec::new(), f64::NAN))
}

/// Processor time of the calling thread.
fn cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |t| Duration::from(t).as_nanos().try_into().unwrap_or(0))
}

/// Latency and CPU share of `hybrid`, beside the futex.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    if !request.host.has_two_cores("wake") {
        return Ok(Vec::new());
    }
    let mut turns = [WaitStrategy::Park, WaitStrategy::Hybrid].map(|s| (s, Turns::default()));
    for _ in 0..request.rounds(3) {
        for (strategy, turns) in &mut turns {
            let (mut latencies, share) = wake_ups(request.host, *strategy);
            turns.medians.push(median(&mut latencies));
            turns.latencies.extend(latencies);
            turns.shares.push(share * 100.0);
        }
    }
    let [(_, futex), (_, hybrid)] = &mut turns;
    let latency = Row::new(
        "wake-up at 30 fps, hybrid",
        median(&mut hybrid.latencies),
        "us",
        &hybrid.medians,
    )
    .against("futex", median(&mut futex.latencies));
    let quick = latency.ratio().is_some_and(|ratio| ratio <= 0.125);
    let share = median(&mut hybrid.shares);
    let cpu = Row::new(
        "wake-up at 30 fps, hybrid, share of a core",
        share,
        "%",
        &hybrid.shares,
    )
    .against("futex", median(&mut futex.shares));
    Ok(vec![
        latency.target("ratio <= 0.125", quick),
        cpu.target("<= 0.5 %", share <= 0.5),
    ])
}
