//! The thread that finds plans while frames flow (`dvfs.mode = "auto"`).
//!
//! Guarantees: it is on no frame's way. The sink leaves a copy of each result where
//! there is room, the sampler its marks, and the dvfs thread takes plans through its
//! mailbox; none of them ever waits for this thread, which gives way to all others and
//! alone allocates. What it spent is in the run's summary.
//!
//! Cost on the sink's thread: a copy of 400 bytes a frame.

use super::notices::Notices;
use crate::dvfs::{AXES, Counters, StagePlan};
use crate::handoff::PlanPort;
use crate::handoff::ring::{RingRx, RingTx, ring};
use crate::monotonic::now_ns;
use crate::plan::ClockPoint;
use crate::power::{EnergyTap, Figure};
use crate::profile::live::{Explorer, LiveFrame, Meter, Order};
use crate::rt::nice::give_way;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::telemetry::{AutoSummary, FrameResult};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Results that may wait to be looked at.
const WAITING: usize = 256;
/// How often it looks.
const EVERY: Duration = Duration::from_millis(20);
/// Its share of its core, as `nice` counts.
const NICE: u8 = 10;

/// The sink's end: takes copies of results.
#[derive(Debug)]
pub struct FrameTap {
    frames: RingTx<FrameResult>,
    lost: Arc<AtomicU64>,
}

impl FrameTap {
    /// Leaves a copy where there is room.
    pub(super) fn take(&mut self, result: &FrameResult) {
        if self.frames.push(*result).is_err() {
            let lost = self.lost.load(Ordering::Relaxed);
            self.lost.store(lost + 1, Ordering::Relaxed);
        }
    }
}

/// The other end of a [`FrameTap`].
#[derive(Debug)]
pub(super) struct Tapped {
    frames: RingRx<FrameResult>,
    lost: Arc<AtomicU64>,
}

/// A tap and what comes out of it.
pub(super) fn tap() -> (FrameTap, Tapped) {
    let (tx, frames) = ring(WAITING);
    let lost: Arc<AtomicU64> = Arc::default();
    let tap = FrameTap {
        frames: tx,
        lost: lost.clone(),
    };
    (tap, Tapped { frames, lost })
}

/// What the thread needs besides the dvfs thread's own.
#[derive(Debug)]
pub struct Auto {
    pub(super) explorer: Explorer,
    pub(super) frames: Tapped,
    pub(super) energy: EnergyTap,
    /// Digest of the bundle, and the board's clocks.
    pub(super) digest: String,
    pub(super) segments: usize,
    pub(super) tables: [Vec<u32>; AXES],
}

impl Meter for EnergyTap {
    fn energy(&mut self, from_ns: u64, to_ns: u64) -> Option<Figure> {
        let history = self.history();
        match history.is_settled(to_ns) {
            true => history.between(from_ns, to_ns),
            false => None,
        }
    }

    fn window_ns(&self) -> u64 {
        self.window().span_ns()
    }
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Planner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<AutoSummary>>,
}

impl Planner {
    /// Starts it.
    pub fn start(
        auto: Auto,
        port: PlanPort<Box<StagePlan>>,
        counters: Arc<Counters>,
        notices: Notices,
    ) -> std::io::Result<Self> {
        let stop: Arc<AtomicBool> = Arc::default();
        let mut work = Work {
            auto,
            port,
            counters,
            notices,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new().name("e4-plan".into());
        let thread = thread.spawn(move || work.run())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it; what it has spent and found, unless it has panicked.
    pub fn end(mut self) -> Option<AutoSummary> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()
    }
}

struct Work {
    auto: Auto,
    port: PlanPort<Box<StagePlan>>,
    counters: Arc<Counters>,
    notices: Notices,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(&mut self) -> AutoSummary {
        // A kernel that refuses even this leaves the thread at its normal share.
        let _ = give_way(NICE);
        while !self.stop.load(Ordering::Relaxed) && !self.port.is_closed() {
            self.look();
            std::thread::park_timeout(EVERY);
        }
        AutoSummary {
            lost_frames: self.auto.frames.lost.load(Ordering::Relaxed),
            ..self.auto.explorer.summary()
        }
    }

    fn look(&mut self) {
        while let Some(result) = self.auto.frames.frames.pop() {
            self.auto.explorer.frame(LiveFrame::of(&result));
        }
        self.auto.energy.pull();
        let allowed = ClockPoint::new(self.counters.allowed());
        let explorer = &mut self.auto.explorer;
        if let Some(order) = explorer.poll(now_ns(), allowed, &mut self.auto.energy) {
            self.carry_out(order);
        }
    }

    fn carry_out(&mut self, order: Order) {
        for sentence in order.say {
            self.notices.say_again(&format!("--dvfs auto: {sentence}"));
        }
        let Some(file) = order.plan else { return };
        let Auto {
            digest,
            segments,
            tables,
            ..
        } = &self.auto;
        match StagePlan::new(&file, digest, *segments, tables) {
            // The one that was not taken yet is freed here.
            Ok(plan) => drop(self.port.put(Box::new(plan))),
            Err(error) => self
                .notices
                .say(format!("--dvfs auto: a plan is none: {error}")),
        }
    }
}
