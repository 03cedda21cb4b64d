//! *Hop*: one way between two polling threads on two cores, half of a ping-pong,
//! for a raw cache line (message and flag in one line: what the hardware can
//! do), our hop, crossbeam-channel and std's channel.

use crate::Request;
use crate::host::Host;
use crate::table::{Row, median};
use crossbeam_channel as crossbeam;
use e4::monotonic::now_ns;
use e4::pipeline::{HopRx, HopTx, WaitStrategy, Waiter, hop};
use e4::sync::{AtomicBool, AtomicU64, Ordering};
use std::hint::spin_loop;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Values that each ring or channel holds.
const CAPACITY: usize = 64;
/// Exchanges of one turn: batches, and round trips in each.
const BATCHES: usize = 20;
const TRIPS: u64 = 500;

/// What crosses: a number, and a word so that it fills what a slot token does.
pub type Message = (u64, u64);

/// One direction's two ends, polled.
pub trait Sender: Send + 'static {
    fn send(&mut self, message: Message) -> bool;
}
pub trait Receiver: Send + 'static {
    fn receive(&mut self) -> Option<Message>;
}

impl Sender for HopTx<Message> {
    fn send(&mut self, message: Message) -> bool {
        self.try_send(message).is_ok()
    }
}
impl Receiver for HopRx<Message> {
    fn receive(&mut self) -> Option<Message> {
        self.try_recv()
    }
}
impl Sender for crossbeam::Sender<Message> {
    fn send(&mut self, message: Message) -> bool {
        self.try_send(message).is_ok()
    }
}
impl Receiver for crossbeam::Receiver<Message> {
    fn receive(&mut self) -> Option<Message> {
        self.try_recv().ok()
    }
}
impl Sender for mpsc::SyncSender<Message> {
    fn send(&mut self, message: Message) -> bool {
        self.try_send(message).is_ok()
    }
}
impl Receiver for mpsc::Receiver<Message> {
    fn receive(&mut self) -> Option<Message> {
        self.try_recv().ok()
    }
}

/// A message that is its own flag, alone in its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);
/// One end of a line, with the last message that it has seen.
struct End(Arc<Line>, u64);

impl Sender for End {
    fn send(&mut self, message: Message) -> bool {
        self.0.0.store(message.0, Ordering::Release);
        true
    }
}
impl Receiver for End {
    fn receive(&mut self) -> Option<Message> {
        let seen = self.0.0.load(Ordering::Acquire);
        if seen == self.1 {
            return None;
        }
        self.1 = seen;
        Some((seen, 0))
    }
}

fn receive(receiver: &mut impl Receiver) -> Message {
    loop {
        match receiver.receive() {
            Some(message) => return message,
            None => spin_loop(),
        }
    }
}

pub fn send(sender: &mut impl Sender, message: Message) {
    while !sender.send(message) {
        spin_loop();
    }
}

/// Median over batches of half a round trip, in nanoseconds.
fn ping_pong<S: Sender, R: Receiver>(host: Host, there: (S, R), back: (S, R)) -> f64 {
    let ((mut out, mut far_in), (mut far_out, mut home)) = (there, back);
    let ready = Arc::new(AtomicBool::new(false));
    let up = ready.clone();
    let far = thread::spawn(move || {
        host.set_up(host.last);
        up.store(true, Ordering::Release);
        for _ in 0..BATCHES as u64 * TRIPS {
            let message = receive(&mut far_in);
            send(&mut far_out, message);
        }
    });
    let near = thread::spawn(move || {
        host.set_up(host.first);
        while !ready.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        let mut batches = [0.0; BATCHES];
        let mut number = 0;
        for batch in &mut batches {
            let start = now_ns();
            for _ in 0..TRIPS {
                number += 1;
                send(&mut out, (number, number));
                receive(&mut home);
            }
            *batch = (now_ns() - start) as f64 / (2 * TRIPS) as f64;
        }
        median(&mut batches)
    });
    let median = near.join();
    let finished = far.join();
    median
        .and_then(|m| finished.map(|()| m))
        .unwrap_or(f64::NAN)
}

fn bounce(host: Host) -> f64 {
    let line = || {
        let line = Arc::new(Line::default());
        (End(line.clone(), 0), End(line, 0))
    };
    ping_pong(host, line(), line())
}

fn our_hop(host: Host) -> f64 {
    let near = Waiter::new(WaitStrategy::Spin, false);
    let far = Waiter::new(WaitStrategy::Spin, false);
    ping_pong(host, hop(CAPACITY, &near, &far), hop(CAPACITY, &far, &near))
}

fn crossbeam_channel(host: Host) -> f64 {
    ping_pong(
        host,
        crossbeam::bounded(CAPACITY),
        crossbeam::bounded(CAPACITY),
    )
}

fn std_channel(host: Host) -> f64 {
    ping_pong(
        host,
        mpsc::sync_channel(CAPACITY),
        mpsc::sync_channel(CAPACITY),
    )
}

/// One line a candidate; the first is what the others are compared with.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    type Candidate = (&'static str, fn(Host) -> f64);
    const CANDIDATES: [Candidate; 4] = [
        ("raw cache line", bounce),
        ("hop, one way", our_hop),
        ("crossbeam-channel, one way", crossbeam_channel),
        ("std mpsc, one way", std_channel),
    ];
    if !request.host.has_two_cores("hop") {
        return Ok(Vec::new());
    }
    let mut times = CANDIDATES.map(|_| Vec::new());
    for _ in 0..request.rounds(9) {
        for ((_, run), times) in CANDIDATES.iter().zip(&mut times) {
            times.push(run(request.host));
        }
    }
    let [raw, others @ ..] = &mut times;
    let raw = median(raw);
    let names = CANDIDATES.iter().skip(1).map(|(name, _)| *name);
    let rows = names.zip(others).map(|(name, times)| {
        let row = Row::new(name, median(times), "ns", times).against(CANDIDATES[0].0, raw);
        let near = row.ratio().is_some_and(|ratio| ratio <= 1.5);
        match name {
            "hop, one way" => row.target("ratio <= 1.5", near),
            _ => row,
        }
    });
    Ok(rows.collect())
}
