//! The record of one frame that became a result. Plain data of fixed size, so
//! that it crosses a ring by copy and allocates nothing.

use super::dvfs::FrameClocks;

/// Most exit points a bundle may have.
pub const MAX_EXITS: usize = 8;

/// One exit point as it was evaluated for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExitRecord {
    /// Class with the highest logit here.
    pub class: u16,
    /// Softmax of that class.
    pub softmax: f32,
    /// Probability that the gate gave for leaving here; 1 at the last exit.
    pub gate: f32,
    /// Time the segment before this exit ran.
    pub segment_ns: u64,
    /// Time the exit's head and gate took.
    pub gate_ns: u64,
}

/// A frame that left the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameResult {
    /// Number of the frame among those captured, from 0.
    pub frame: u64,
    /// Number of the frame among those that were sampled, from 0.
    pub sample: u64,
    /// Sequence number its source gave it.
    pub sequence: u64,
    /// Clip it belongs to.
    pub clip: u32,
    /// True class, where the source knows it.
    pub label: Option<u16>,
    /// Capture time on the source's timeline.
    pub timestamp_ns: u64,
    /// When the frame was complete in memory ([`crate::monotonic`]).
    pub captured_ns: u64,
    /// When the verdict that ended it was reached ([`crate::monotonic`]).
    pub decided_ns: u64,
    /// When the sink had the result ([`crate::monotonic`]): the end of the frame's
    /// way.
    pub delivered_ns: u64,
    /// Time spent making the input tensor.
    pub tensor_ns: u64,
    /// Time during which a gate and the next exit's segment, run on speculation,
    /// were at work both.
    pub overlap_ns: u64,
    /// Exit taken, from 0.
    pub exit: u8,
    /// Class at the exit taken.
    pub class: u16,
    /// Softmax of that class.
    pub confidence: f32,
    /// Clocks as it left, where they are followed.
    pub clocks: Option<FrameClocks>,
    /// Every exit evaluated: entries `0..=exit`.
    pub exits: [ExitRecord; MAX_EXITS],
}

impl FrameResult {
    /// End to end: capture until the sink has the result.
    #[must_use]
    pub fn latency_ns(&self) -> u64 {
        self.delivered_ns.saturating_sub(self.captured_ns)
    }

    /// What the pipeline adds: end to end, less the time during which any stage
    /// worked on the frame.
    #[must_use]
    pub fn overhead_ns(&self) -> u64 {
        self.latency_ns().saturating_sub(self.work_ns())
    }

    /// Exits evaluated, the one taken last.
    #[must_use]
    pub fn evaluated(&self) -> &[ExitRecord] {
        &self.exits[..=usize::from(self.exit).min(MAX_EXITS - 1)]
    }

    /// Time during which any stage worked on this frame: the union of the tensor's,
    /// the segments' and the gates' intervals.
    #[must_use]
    pub fn work_ns(&self) -> u64 {
        let each = self.evaluated().iter().map(|e| e.segment_ns + e.gate_ns);
        (self.tensor_ns + each.sum::<u64>()).saturating_sub(self.overlap_ns)
    }
}
