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
use super::run::{PipelineError, ResultSink};
use super::stop::{Heartbeat, Stop};
use super::threads::Part;
use super::wait::{Until, Waiter};
use crate::monotonic::now_ns;
use crate::telemetry::{DropReason, FrameResult};
use crate::tensor::{FrameMeta, Slot};

/// The longest that capture waits before it looks at the stop flag.
const CAPTURE_PATIENCE_NS: u64 = 50_000_000;
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
    let notices = capture.start(slots)?;
    while !forward.is_closed() {
        while let Some(slot) = free.try_recv() {
            capture.source.release(slot);
        }
        match capture.step(now_ns() + CAPTURE_PATIENCE_NS) {
            Ok(Step::Frame(slot)) => forward.pass(slot, &mut capture),
            Ok(Step::Nothing) => {}
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
        notices,
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

pub(super) fn capture_and_infer<S: ResultSink>(
    mut capture: Capture,
    mut infer: Infer<S>,
    mut waiter: Waiter,
) -> Result<Part<S>, PipelineError> {
    let notices = capture.start(1)?;
    loop {
        let slot = match capture.step(now_ns() + CAPTURE_PATIENCE_NS) {
            Ok(Step::Frame(slot)) => slot,
            Ok(Step::Nothing | Step::Starved) => continue,
            Ok(Step::End) => break,
            Err(error) => {
                capture.broken(error);
                break;
            }
        };
        let mut header = header(&slot.meta);
        let loaded = infer.load(&slot, &mut header);
        capture.source.release(slot);
        if loaded {
            infer.run(header, &mut waiter)?;
        }
    }
    let mut part = infer.finish();
    part.source = Some(capture.finish());
    part.notices.extend(notices);
    Ok(part)
}

pub(super) fn gate<S: ResultSink>(
    mut gate: GateStage<S>,
    mut features: HopRx<Feature>,
    mut verdicts: HopTx<Verdict>,
    mut waiter: Waiter,
    heartbeat: &Heartbeat,
) -> Result<Part<S>, PipelineError> {
    let mut rhythm = Rhythm::default();
    loop {
        let until = Until::FOREVER.expecting(rhythm.expected_ns(now_ns()));
        let feature = match features.recv(&mut waiter, until) {
            Received::Item(feature) => feature,
            Received::TimedOut => continue,
            Received::Closed => break,
        };
        heartbeat.busy();
        let exit = feature.exit;
        rhythm.arrived(&feature, now_ns());
        let outcome = gate.judge(&feature);
        // Infer waits for nothing else: if it has gone, the features close too.
        let _ = verdicts.try_send(Verdict {
            outcome,
            pooled: feature.pooled,
        });
        if outcome == Outcome::Leave {
            gate.deliver(&mut waiter);
        }
        rhythm.judged(exit, outcome, now_ns());
        heartbeat.idle();
    }
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
        let until = Until::FOREVER.expecting(rhythm.expected_ns(now_ns()));
        match results.recv(&mut waiter, until) {
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
