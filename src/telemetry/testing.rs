//! Frames made up for this module's tests.

use super::{ExitRecord, FrameResult, MAX_EXITS};

/// A frame that left at `exit`: 1 ms a segment, 20 us a gate, 100 us for the
/// tensor, 60 us of overhead.
pub(crate) fn frame(exit: u8) -> FrameResult {
    let each = ExitRecord {
        class: 0,
        softmax: 0.5,
        gate: 0.5,
        segment_ns: 1_000_000,
        gate_ns: 20_000,
    };
    let captured_ns = 1_000_000;
    FrameResult {
        frame: 0,
        sample: 0,
        sequence: 0,
        clip: 0,
        label: None,
        timestamp_ns: 40_000_000,
        captured_ns,
        decided_ns: captured_ns + 150_000 + 1_020_000 * (u64::from(exit) + 1),
        delivered_ns: captured_ns + 160_000 + 1_020_000 * (u64::from(exit) + 1),
        overlap_ns: 0,
        clocks: None,
        tensor_ns: 100_000,
        exit,
        class: 0,
        confidence: 0.5,
        exits: [each; MAX_EXITS],
    }
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
