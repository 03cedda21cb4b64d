//! Frames as they went by, and what a probe's frames say of each segment's time.

use crate::plan::ClockPoint;
use crate::plan::cost::Cost;
use crate::telemetry::result::{FrameResult, MAX_EXITS};

/// A frame that has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveFrame {
    /// Captured.
    pub captured_ns: u64,
    /// Left.
    pub left_ns: u64,
    /// Exit taken, from 0.
    pub exit: usize,
    /// What the first gate gave.
    pub first_gate: f32,
    /// Time of each segment with its head, s; 0 beyond the exit.
    pub segment_s: [f64; MAX_EXITS],
    /// The clocks that were asked for last as it left.
    pub asked: ClockPoint,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl LiveFrame {
    /// Of a result.
    #[must_use]
    pub fn of(result: &FrameResult) -> Self {
        let mut segment_s = [0.0; MAX_EXITS];
        for (time, exit) in segment_s.iter_mut().zip(result.evaluated()) {
            *time = seconds(exit.segment_ns + exit.gate_ns);
        }
        Self {
            captured_ns: result.captured_ns,
            left_ns: result.decided_ns,
            exit: usize::from(result.exit).min(MAX_EXITS - 1),
            first_gate: result.exits[0].gate,
            segment_s,
            asked: ClockPoint::new(result.clocks.map_or([0; 3], |c| c.asked_khz)),
        }
    }

    /// Time of all its segments, s.
    pub fn busy_s(&self) -> f64 {
        self.segment_s.iter().sum()
    }

    /// From capture until it left, s.
    pub fn latency_s(&self) -> f64 {
        seconds(self.left_ns.saturating_sub(self.captured_ns))
    }
}

/// Times of segment `k`: middle, deviation and count. What one frame in ten takes longer
/// than all others (another process had the core) moves neither.
pub(super) fn times(frames: &[LiveFrame], k: usize) -> Option<(Cost, u32)> {
    /// The 90th percentile of a normal distribution, in deviations.
    const TO_P90: f64 = 1.2816;
    let own = frames
        .iter()
        .filter(|f| f.exit >= k)
        .map(|f| f.segment_s[k]);
    let mut all: Vec<f64> = own.filter(|s| *s > 0.0).collect();
    all.sort_by(f64::total_cmp);
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let middle = *all.get(all.len() / 2)?;
    let spread = match count {
        1 => 0.25 * middle,
        _ => (all[(all.len() - 1) * 9 / 10] - middle).max(0.0) / TO_P90,
    };
    let cost = Cost {
        mean: middle,
        spread,
    };
    Some((cost, count))
}

/// The middle of the times from a frame's capture to the next, s.
pub(super) fn interval_s(frames: &[LiveFrame]) -> Option<f64> {
    let mut gaps: Vec<u64> = frames
        .windows(2)
        .map(|pair| pair[1].captured_ns.saturating_sub(pair[0].captured_ns))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map(|ns| seconds(*ns))
}
