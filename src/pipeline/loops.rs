//! The loop of each thread: wait, work, hand on, until the hand-off before it
//! closes.
//!
//! A run ends from its beginning: capture sees the stop flag (or the source's
//! end) and drops its half; infer takes what is left and drops its own; gate and
//! sink follow.

use super::capture::{Capture, Step};
use super::gate::{Feature, FrameHeader, GateStage, Outcome, Verdict};
use super::hop::{HopRx, HopTx, Received};
use super::infer::Infer;
use super::mailbox::{MailboxRx, MailboxTx};
use super::predict::ArrivalPredictor;
use super::rhythm::{FrameRhythm, Rhythm};
use super::run::{Options, PipelineError, Policy, ResultSink};
use super::stop::{Heartbeat, Stop};
use super::threads::Part;
use super::wait::{GUARD_NS, Until, Waiter};
use crate::monotonic::now_ns;
use crate::telemetry::{DropReason, FrameResult};
use crate::tensor::{FrameMeta, Slot};

/// The longest that capture waits before it looks at the stop flag.
const CAPTURE_PATIENCE_NS: u64 = 50_000_000;
/// A live frame that is older when infer takes it on one thread with capture has
/// newer ones behind it.
const LATE_NS: u64 = 1_000_000;
/// How long a gate leaves the core to the sink before it goes on with its own work.
const ASIDE_NS: u64 = 100_000;
/// How long frames that wait when the run is stopped are still worked on.
const DRAIN_NS: u64 = 300_000_000;

/// Capture's end of the way to infer.
#[derive(Debug)]
pub(super) enum Forward {
    /// A ring that holds every slot there is.
    Block(HopTx<Slot>),
    /// The mailbox.
    Newest(MailboxTx<Slot>),
}

/// Infer's end of the way from capture.
#[derive(Debug)]
pub(super) enum Feed {
    /// The ring.
    Block(HopRx<Slot>),
    /// The mailbox.
    Newest(MailboxRx<Slot>),
}

impl Feed {
    fn recv(&mut self, waiter: &mut Waiter, until: Until) -> Received<Slot> {
        match self {
            Self::Block(rx) => rx.recv(waiter, until),
            Self::Newest(rx) => rx.recv(waiter, until),
        }
    }
}

impl Forward {
    fn is_closed(&self) -> bool {
        match self {
            Self::Block(tx) => tx.is_closed(),
            Self::Newest(tx) => tx.is_closed(),
        }
    }

    fn pass(&mut self, slot: Slot, capture: &mut Capture) {
        match self {
            // A ring with room for every slot refuses one only when infer has gone.
            Self::Block(tx) => {
                if let Err(slot) = tx.try_send(slot) {
                    capture.unwanted(slot);
                }
            }
            Self::Newest(tx) => {
                if let Some(older) = tx.put(slot) {
                    capture.superseded(older);
                }
            }
        }
    }
}

/// Header of a frame whose tensor is about to be made.
fn header(meta: &FrameMeta) -> FrameHeader {
    FrameHeader {
        frame: meta.frame,
        sample: meta.sample,
        sequence: meta.sequence,
        clip: meta.clip,
        label: meta.label,
        timestamp_ns: meta.timestamp_ns,
        captured_ns: meta.captured_ns,
        tensor_ns: 0,
    }
}

pub(super) fn capture<S>(
    mut capture: Capture,
    slots: usize,
    mut forward: Forward,
    mut free: HopRx<Slot>,
    mut waiter: Waiter,
) -> Result<Part<S>, PipelineError> {
    capture.start(slots)?;
    while !forward.is_closed() {
        while let Some(slot) = free.try_recv() {
            capture.source.release(slot);
        }
        match capture.step(now_ns() + CAPTURE_PATIENCE_NS) {
            Ok(Step::Frame(slot)) => forward.pass(slot, &mut capture),
            Ok(Step::Nothing | Step::Idle) => {}
            Ok(Step::Starved) => {
                let until = Until::deadline(now_ns() + CAPTURE_PATIENCE_NS);
                if let Received::Item(slot) = free.recv(&mut waiter, until) {
                    capture.source.release(slot);
                }
            }
            Ok(Step::End) => break,
            Err(error) => {
                capture.broken(error);
                break;
            }
        }
    }
    Ok(Part {
        source: Some(capture.finish()),
        ..Part::default()
    })
}

pub(super) fn infer<S: ResultSink>(
    mut infer: Infer<S>,
    mut feed: Feed,
    mut free: HopTx<Slot>,
    mut waiter: Waiter,
    stop: &Stop,
) -> Result<Part<S>, PipelineError> {
    let mut predictor = ArrivalPredictor::new(None);
    let mut drain_until_ns = None;
    loop {
        let until = Until::FOREVER.expecting(predictor.next_after(now_ns()));
        let slot = match feed.recv(&mut waiter, until) {
            Received::Item(slot) => slot,
            Received::TimedOut => continue,
            Received::Closed => break,
        };
        let mut header = header(&slot.meta);
        predictor.observe(header.sample, header.captured_ns);
        let late = stop.is_raised()
            && now_ns() > *drain_until_ns.get_or_insert_with(|| now_ns() + DRAIN_NS);
        let loaded = if late {
            infer.drop_frame(DropReason::Shutdown);
            false
        } else {
            infer.load(&slot, &mut header)
        };
        // Capture may have ended; nobody needs the slot then.
        let _ = free.try_send(slot);
        if loaded {
            infer.run(header, &mut waiter)?;
        }
    }
    Ok(infer.finish())
}

/// `newest` on one thread: before infer takes a frame, the newer ones that the
/// source has ready take its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct CatchUp {
    /// A frame that is younger needs no look for a newer one.
    young_ns: u64,
    /// As many newer frames are looked at, at most: a source that is as fast as
    /// it is asked always has one.
    most: usize,
}

impl CatchUp {
    /// Asked for by name, `newest` always looks; by itself, where a live source
    /// is behind.
    pub fn new(options: &Options) -> Self {
        Self {
            young_ns: match options.policy {
                Policy::Newest => 0,
                Policy::Auto | Policy::Block => LATE_NS,
            },
            most: options.slots,
        }
    }

    /// The newest frame there is; false once the source has broken.
    fn newest(self, capture: &mut Capture, mut slot: Slot) -> (Slot, bool) {
        for _ in 0..self.most {
            let now = now_ns();
            if now.saturating_sub(slot.meta.captured_ns) < self.young_ns {
                break;
            }
            match capture.step(now) {
                Ok(Step::Frame(newer)) => capture.superseded(std::mem::replace(&mut slot, newer)),
                Ok(Step::Nothing) => {}
                Ok(Step::Idle | Step::Starved | Step::End) => break,
                Err(error) => {
                    capture.broken(error);
                    return (slot, false);
                }
            }
        }
        (slot, true)
    }
}

/// The eve of the next frame of a live source: after a long sleep the way from
/// capture to the first segment has gone cold, in code and in data, and is walked
/// once shortly before it is needed.
#[derive(Debug)]
struct Eve {
    frames: Option<ArrivalPredictor>,
    at_ns: Option<u64>,
    over: bool,
}

impl Eve {
    fn of(live: bool) -> Self {
        Self {
            frames: live.then(|| ArrivalPredictor::new(None)),
            at_ns: None,
            over: false,
        }
    }

    /// The eve, if it is still to come and before `patience_ns`, or that.
    fn or(&mut self, now_ns: u64, patience_ns: u64) -> u64 {
        let next_ns = self.frames.as_ref().and_then(|f| f.next_after(now_ns));
        let eve_ns = next_ns.map(|at| at.saturating_sub(GUARD_NS));
        self.at_ns = eve_ns.filter(|&at| !self.over && at > now_ns && at < patience_ns);
        self.at_ns.unwrap_or(patience_ns)
    }

    /// True once for a frame.
    fn has_come(&mut self, now_ns: u64) -> bool {
        self.over |= self.at_ns.is_some_and(|at| now_ns >= at);
        self.over && self.at_ns.take().is_some()
    }

    /// A frame has been dealt with.
    fn frame(&mut self, header: &FrameHeader) {
        if let Some(frames) = &mut self.frames {
            frames.observe(header.sample, header.captured_ns);
        }
        self.over = false;
    }
}

pub(super) fn capture_and_infer<S: ResultSink>(
    mut capture: Capture,
    mut infer: Infer<S>,
    mut waiter: Waiter,
    catch_up: Option<CatchUp>,
) -> Result<Part<S>, PipelineError> {
    // One for the frame under way, which is given back after its result.
    capture.start(catch_up.map_or(2, |c| c.most.max(2)))?;
    let mut eve = Eve::of(capture.source.info().live);
    let mut whole = true;
    while whole {
        let now = now_ns();
        let slot = match capture.step(eve.or(now, now + CAPTURE_PATIENCE_NS)) {
            Ok(Step::Frame(slot)) => slot,
            Ok(Step::Nothing | Step::Idle | Step::Starved) => {
                if eve.has_come(now_ns()) {
                    infer.rehearse();
                }
                continue;
            }
            Ok(Step::End) => break,
            Err(error) => {
                capture.broken(error);
                break;
            }
        };
        let slot = match catch_up {
            None => slot,
            Some(catch_up) => {
                let (newest, sound) = catch_up.newest(&mut capture, slot);
                whole = sound;
                newest
            }
        };
        let mut header = header(&slot.meta);
        if infer.load(&slot, &mut header) {
            infer.run(header, &mut waiter)?;
        }
        capture.source.release(slot);
        eve.frame(&header);
    }
    let mut part = infer.finish();
    part.source = Some(capture.finish());
    Ok(part)
}

/// Until when a gate with work left over from a frame waits for the next one: the
/// sink, on the same core, has had its turn then, and what the work touches is warm
/// when the next frame comes.
fn aside(expected_ns: Option<u64>, now_ns: u64) -> Until {
    let eve_ns = expected_ns.map_or(0, |at| at.saturating_sub(GUARD_NS));
    Until::deadline(eve_ns.max(now_ns + ASIDE_NS))
}

pub(super) fn gate<S: ResultSink>(
    mut gate: GateStage<S>,
    mut features: HopRx<Feature>,
    mut verdicts: HopTx<Verdict>,
    mut waiter: Waiter,
    heartbeat: &Heartbeat,
) -> Result<Part<S>, PipelineError> {
    let mut rhythm = Rhythm::default();
    let steps_aside = waiter.shares_core() && gate.passes_on();
    let mut unsettled = false;
    loop {
        let now = now_ns();
        let expected_ns = rhythm.expected_ns(now);
        let until = if unsettled {
            aside(expected_ns, now)
        } else {
            Until::FOREVER.expecting(expected_ns)
        };
        let received = features.recv(&mut waiter, until);
        heartbeat.busy();
        if std::mem::take(&mut unsettled) {
            gate.settle();
        }
        let feature = match received {
            Received::Item(feature) => feature,
            Received::TimedOut => {
                heartbeat.idle();
                continue;
            }
            Received::Closed => break,
        };
        let exit = feature.exit;
        rhythm.arrived(&feature, now_ns());
        let outcome = gate.judge(&feature);
        // Infer waits for nothing else: if it has gone, the features close too.
        let _ = verdicts.try_send(Verdict {
            outcome,
            first_gate: gate.first_gate(),
            pooled: feature.pooled,
        });
        if outcome == Outcome::Leave {
            gate.deliver(&mut waiter);
            unsettled = steps_aside;
            if !unsettled {
                gate.settle();
            }
        }
        rhythm.judged(exit, outcome, now_ns());
        heartbeat.idle();
    }
    heartbeat.idle();
    Ok(gate.finish())
}

pub(super) fn sink<S: ResultSink>(
    mut sink: S,
    mut results: HopRx<FrameResult>,
    mut waiter: Waiter,
    heartbeat: &Heartbeat,
    stop: &Stop,
) -> Result<Part<S>, PipelineError> {
    let mut rhythm = FrameRhythm::default();
    loop {
        // On the gate's core the result comes from a thread that is awake: one that
        // woke early would only be in its way.
        let expected_ns = (!waiter.shares_core())
            .then(|| rhythm.expected_ns(now_ns()))
            .flatten();
        match results.recv(&mut waiter, Until::FOREVER.expecting(expected_ns)) {
            Received::Item(mut result) => {
                result.delivered_ns = now_ns();
                heartbeat.busy_since(result.delivered_ns);
                // What is under way when the run ends is a result still.
                if !sink.accept(&result) {
                    stop.raise();
                }
                heartbeat.idle();
                rhythm.arrived(result.sample, result.captured_ns, result.delivered_ns);
            }
            Received::TimedOut => {}
            Received::Closed => break,
        }
    }
    Ok(Part {
        sink: Some(sink),
        ..Part::default()
    })
}
