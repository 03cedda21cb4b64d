//! The gate stage: owns the temporal state, decides where a frame leaves, and
//! passes the result on.

use super::notices::Notices;
use super::run::{Outlet, ResultSink};
use super::stop::Stop;
use super::threads::Part;
use super::wait::Waiter;
use crate::dvfs::Counters;
use crate::gates::Gates;
use crate::monotonic::now_ns;
use crate::telemetry::{DropCounters, DropReason, ExitRecord, FrameResult, MAX_EXITS};
use std::fmt::Display;
use std::sync::Arc;

/// What the gate needs to know of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameHeader {
    pub frame: u64,
    pub sample: u64,
    pub sequence: u64,
    pub clip: u32,
    pub label: Option<u16>,
    pub timestamp_ns: u64,
    pub captured_ns: u64,
    pub tensor_ns: u64,
}

/// The pooled feature of one exit point on its way to the gate.
#[derive(Debug)]
pub(super) struct Feature {
    pub header: FrameHeader,
    pub exit: u8,
    /// When the segment was started.
    pub started_ns: u64,
    pub segment_ns: u64,
    pub pooled: Vec<f32>,
}

/// The gate's answer; the feature's buffer goes back with it.
#[derive(Debug)]
pub(super) struct Verdict {
    pub outcome: Outcome,
    /// What the frame's first gate gave.
    pub first_gate: f32,
    pub pooled: Vec<f32>,
}

/// What becomes of frames that engine or gate fail on.
pub(super) const COUNTED: &str = "it and any later one that fails are dropped as engine_failed";

/// Where the frame goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It leaves here.
    Leave,
    /// The next segment must run.
    GoOn,
    /// The gate could not evaluate it.
    Failed,
}

/// The stage and everything it owns.
#[derive(Debug)]
pub(super) struct GateStage<S> {
    pub gates: Gates,
    pub outlet: Outlet<S>,
    pub drops: Arc<DropCounters>,
    pub stop: Stop,
    pub result: FrameResult,
    pub clip: Option<u32>,
    pub notices: Notices,
    /// The clocks, where they are followed.
    pub clocks: Option<Arc<Counters>>,
    /// An evaluation has failed, and that has been said.
    pub failed: bool,
    /// From when to when the frame's last exit was judged; the next segment may
    /// have run meanwhile, on speculation.
    judged_ns: (u64, u64),
}

impl<S: ResultSink> GateStage<S> {
    pub fn new(
        gates: Gates,
        outlet: Outlet<S>,
        drops: Arc<DropCounters>,
        stop: Stop,
        notices: Notices,
    ) -> Self {
        Self {
            gates,
            outlet,
            drops,
            stop,
            result: blank(&FrameHeader::default()),
            clip: None,
            notices,
            clocks: None,
            failed: false,
            judged_ns: (0, 0),
        }
    }

    /// Evaluates one exit. On `Leave` the result is ready to be delivered.
    pub fn judge(&mut self, feature: &Feature) -> Outcome {
        let started_ns = now_ns();
        if feature.exit == 0 {
            self.begin(&feature.header);
        }
        let exit = usize::from(feature.exit);
        let evaluation = match self.gates.evaluate(exit, &feature.pooled) {
            Ok(evaluation) => evaluation,
            Err(error) => {
                return self.fail(&error);
            }
        };
        if self.gates.is_poisoned() {
            return self.fail(&"the network gave what is not a number");
        }
        let decided_ns = now_ns();
        let Some(record) = self.result.exits.get_mut(exit) else {
            return Outcome::Failed;
        };
        let segment = (feature.started_ns, feature.started_ns + feature.segment_ns);
        self.result.overlap_ns += overlap_ns(self.judged_ns, segment);
        self.judged_ns = (started_ns, decided_ns);
        *record = ExitRecord {
            class: evaluation.class,
            softmax: evaluation.softmax,
            gate: evaluation.gate,
            segment_ns: feature.segment_ns,
            gate_ns: decided_ns - started_ns,
        };
        if !evaluation.leave {
            return Outcome::GoOn;
        }
        self.result.exit = feature.exit;
        self.result.class = evaluation.class;
        self.result.confidence = evaluation.softmax;
        self.result.decided_ns = decided_ns;
        self.result.clocks = self.clocks.as_ref().map(|clocks| clocks.clocks());
        Outcome::Leave
    }

    /// What the first gate gave for the frame under way.
    pub fn first_gate(&self) -> f32 {
        self.result.exits[0].gate
    }

    /// Says the first failure; the frame is counted by infer.
    fn fail(&mut self, error: &dyn Display) -> Outcome {
        if !std::mem::replace(&mut self.failed, true) {
            let frame = self.result.frame;
            let sentence = format!("frame {frame}: {error}; {COUNTED}");
            self.notices.say(sentence);
        }
        Outcome::Failed
    }

    fn begin(&mut self, header: &FrameHeader) {
        if self.clip != Some(header.clip) {
            self.gates.reset();
            self.clip = Some(header.clip);
        }
        self.gates.begin_frame();
        self.result = blank(header);
        self.judged_ns = (0, 0);
    }

    /// What the stage leaves behind.
    pub fn finish(self) -> Part<S> {
        let sink = match self.outlet {
            Outlet::Direct(sink) => Some(sink),
            Outlet::Ring { .. } => None,
        };
        Part {
            sink,
            ..Part::default()
        }
    }

    /// True when the sink has a thread of its own.
    pub fn passes_on(&self) -> bool {
        matches!(self.outlet, Outlet::Ring { .. })
    }

    /// Passes on the result of the frame that has just left; [`settle`](Self::settle)
    /// must follow before the next frame.
    pub fn deliver(&mut self, waiter: &mut Waiter) {
        if !self.outlet.deliver(&mut self.result, &self.stop, waiter) {
            self.drops.drop_frame(DropReason::SinkFull);
        }
    }

    /// Does what the next frame needs of the one that has left: commits the state
    /// and computes what depends on that alone.
    pub fn settle(&mut self) {
        self.gates.commit();
        self.gates.look_ahead();
    }
}

/// How long two intervals, each from its first to its second time, have in common.
fn overlap_ns(a: (u64, u64), b: (u64, u64)) -> u64 {
    a.1.min(b.1).saturating_sub(a.0.max(b.0))
}

fn blank(header: &FrameHeader) -> FrameResult {
    FrameResult {
        frame: header.frame,
        sample: header.sample,
        sequence: header.sequence,
        clip: header.clip,
        label: header.label,
        timestamp_ns: header.timestamp_ns,
        captured_ns: header.captured_ns,
        decided_ns: 0,
        delivered_ns: 0,
        tensor_ns: header.tensor_ns,
        overlap_ns: 0,
        clocks: None,
        exit: 0,
        class: 0,
        confidence: 0.0,
        exits: [ExitRecord::default(); MAX_EXITS],
    }
}

#[cfg(test)]
mod tests {
    use super::overlap_ns;

    #[test]
    fn intervals_share_what_both_cover_and_nothing_where_they_do_not_meet() {
        assert_eq!(overlap_ns((10, 30), (20, 90)), 10);
        assert_eq!(overlap_ns((10, 30), (5, 90)), 20);
        assert_eq!(overlap_ns((10, 30), (12, 15)), 3);
        assert_eq!(overlap_ns((10, 30), (30, 40)), 0);
        assert_eq!(overlap_ns((0, 0), (5, 90)), 0);
    }
}
