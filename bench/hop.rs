//! What handing a value to another thread costs.
//!
//! *Hop*: one way between two polling threads on two cores, half of a ping-pong,
//! for a raw cache line (message and flag in one line: what the hardware can
//! do), our hop, crossbeam-channel and std's channel. *Wake-up*: from sending to
//! receiving when the receiver waits for a 30 fps producer on another core, by
//! `hybrid` and by the plain futex (`park`), with the receiver's share of a core.
//! The candidates take turns, round by round; ratios are to be trusted rather
//! than times, the more so on a machine with other work.
//!
//! `cargo bench --bench hop [-- ROUNDS]`

use crossbeam_channel as crossbeam;
use e4::monotonic::now_ns;
use e4::pipeline::{ArrivalPredictor, HopRx, HopTx, Received, Until, WaitStrategy, Waiter, hop};
use e4::rt::{SchedClass, ThreadSetup, cores};
use e4::sync::{AtomicBool, AtomicU64, Ordering};
use nix::time::{ClockId, clock_gettime};
use std::hint::spin_loop;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Values that each ring or channel holds.
const CAPACITY: usize = 64;
/// Exchanges of one turn: batches, and round trips in each.
const BATCHES: usize = 20;
const TRIPS: u64 = 500;
/// Frames of one turn of the wake-up bench, and those that do not count.
const FRAMES: u64 = 60;
const WARM_UP: u64 = 10;
const INTERVAL_NS: u64 = 33_333_333;

/// What crosses: a number, and a word so that it fills what a slot token does.
type Message = (u64, u64);

/// One direction's two ends, polled.
trait Sender: Send + 'static {
    fn send(&mut self, message: Message) -> bool;
}
trait Receiver: Send + 'static {
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

fn set_up(core: Option<usize>, class: SchedClass) {
    let setup = ThreadSetup {
        core,
        class,
        ..ThreadSetup::default()
    };
    if let Err(error) = setup.apply() {
        eprintln!("bench thread: {error}");
    }
}

/// The two cores of the bench and the class its threads get: real time where it
/// is permitted, so that other work on the machine does not count.
#[derive(Clone, Copy)]
struct Host {
    first: Option<usize>,
    last: Option<usize>,
    class: SchedClass,
}

impl Host {
    fn here() -> Self {
        let cores = cores();
        let class = SchedClass::Fifo(50);
        let setup = ThreadSetup {
            class,
            ..ThreadSetup::default()
        };
        let permitted = thread::spawn(move || setup.apply().is_ok())
            .join()
            .unwrap_or(false);
        Self {
            first: cores.first().copied(),
            last: cores.last().copied(),
            class: if permitted { class } else { SchedClass::Other },
        }
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

fn send(sender: &mut impl Sender, message: Message) {
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
        set_up(host.last, host.class);
        up.store(true, Ordering::Release);
        for _ in 0..BATCHES as u64 * TRIPS {
            let message = receive(&mut far_in);
            send(&mut far_out, message);
        }
    });
    let near = thread::spawn(move || {
        set_up(host.first, host.class);
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
        quantile(&mut batches, 0.5)
    });
    let median = near.join();
    let finished = far.join();
    median
        .and_then(|m| finished.map(|()| m))
        .unwrap_or(f64::NAN)
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index within the slice"
    )]
    let index = (last * q).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
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

fn hop_table(host: Host, rounds: usize) {
    type Candidate = (&'static str, fn(Host) -> f64);
    let candidates: [Candidate; 4] = [
        ("raw cache line", bounce),
        ("hop", our_hop),
        ("crossbeam-channel", crossbeam_channel),
        ("std mpsc", std_channel),
    ];
    let mut times = candidates.map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for ((_, run), times) in candidates.iter().zip(&mut times) {
            times.push(run(host));
        }
    }
    println!("hop, one way, {CAPACITY} values       ns median     p10     p90   x raw");
    let raw = quantile(&mut times[0], 0.5);
    for ((name, _), times) in candidates.iter().zip(&mut times) {
        let [p10, median, p90] = [0.1, 0.5, 0.9].map(|q| quantile(times, q));
        println!(
            "{name:<30} {median:>9.1} {p10:>7.1} {p90:>7.1} {:>7.2}",
            median / raw
        );
    }
}

/// Latencies of one turn in microseconds, and the receiver's share of a core.
fn wake_ups(host: Host, strategy: WaitStrategy) -> (Vec<f64>, f64) {
    let producer = Waiter::new(WaitStrategy::Park, false);
    let mut me = Waiter::new(strategy, false);
    let (mut tx, mut rx) = hop::<Message>(8, &producer, &me);
    let producer = thread::spawn(move || {
        set_up(host.first, host.class);
        let mut waiter = producer;
        let start = now_ns() + INTERVAL_NS;
        for frame in 0..FRAMES {
            waiter.wait(Until::deadline(start + frame * INTERVAL_NS), || false);
            send(&mut tx, (frame, now_ns()));
        }
    });
    let consumer = thread::spawn(move || {
        set_up(host.last, host.class);
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

fn wake_table(host: Host, rounds: usize) {
    let strategies = [WaitStrategy::Park, WaitStrategy::Hybrid];
    let mut turns = strategies.map(|_| (Vec::new(), Vec::with_capacity(rounds)));
    for _ in 0..rounds {
        for (&strategy, (latencies, shares)) in strategies.iter().zip(&mut turns) {
            let (turn, share) = wake_ups(host, strategy);
            latencies.extend(turn);
            shares.push(share * 100.0);
        }
    }
    println!("\nwake-up at 30 fps               us p50     p90   CPU %   futex / p50");
    let futex = quantile(&mut turns[0].0, 0.5);
    for (strategy, (latencies, shares)) in strategies.iter().zip(&mut turns) {
        let [p50, p90] = [0.5, 0.9].map(|q| quantile(latencies, q));
        let share = quantile(shares, 0.5);
        let name = match strategy {
            WaitStrategy::Park => "futex (park)",
            other => other.name(),
        };
        println!(
            "{name:<30} {p50:>7.1} {p90:>7.1} {share:>7.2} {:>13.1}",
            futex / p50
        );
    }
}

fn main() {
    let rounds = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(9_usize)
        .max(1);
    let host = Host::here();
    if host.first == host.last {
        eprintln!("hop: this machine has one core; a hop between cores cannot be measured");
        return;
    }
    println!(
        "cores {} and {}, class {}, {rounds} rounds",
        host.first.unwrap_or(0),
        host.last.unwrap_or(0),
        host.class
    );
    hop_table(host, rounds);
    wake_table(host, rounds.div_ceil(3));
}
