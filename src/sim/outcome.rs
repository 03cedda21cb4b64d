//! What a simulated stream amounts to.

use crate::sim::trace::TraceFrame;
use crate::telemetry::{DvfsSummary, MAX_EXITS};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Right answers among those with a label.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    right: u64,
    all: u64,
}

impl Tally {
    fn count(&mut self, right: bool) {
        self.all += 1;
        self.right += u64::from(right);
    }

    fn share(self) -> Option<f64> {
        (self.all > 0).then(|| float(self.right) / float(self.all))
    }
}

/// What is gathered while a stream runs.
#[derive(Clone, Debug)]
pub struct Outcome {
    latency_ns: Histogram<u64>,
    total_ns: u64,
    misses: u64,
    exits: [u64; MAX_EXITS],
    frames: Tally,
    clips: Tally,
    /// Whether the clip under way would be right if it ended now.
    clip: Option<bool>,
    work_j: f64,
    span_ns: u64,
    span_j: f64,
}

/// What a method spent before the stream that is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Search {
    /// Clock points measured, or decisions taken while learning.
    pub probes: u64,
    /// Virtual time, s.
    pub seconds: f64,
    /// Energy, J.
    pub joules: f64,
}

/// Figures of one method on one board: *simulated*, all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Frames judged.
    pub frames: u64,
    /// Mean latency, arrival to answer, ms.
    pub latency_mean_ms: f64,
    /// Its 50th percentile.
    pub latency_p50_ms: f64,
    /// Its 99th percentile.
    pub latency_p99_ms: f64,
    /// Longest latency.
    pub latency_max_ms: f64,
    /// Energy a frame, the idle stretch up to the next one included, mJ.
    pub energy_mj: f64,
    /// The part of it that was drawn while segments ran, mJ.
    pub work_mj: f64,
    /// Mean power, W.
    pub watts: f64,
    /// Frames that were late.
    pub deadline_misses: u64,
    /// Right frames over labelled ones.
    pub frame_accuracy: Option<f64>,
    /// Clips whose last frame was right, over labelled ones.
    pub clip_accuracy: Option<f64>,
    /// Mean exit, from 1.
    pub mean_exit: f64,
    /// Frames by exit.
    pub exits: Vec<u64>,
    /// What was spent beforehand.
    pub search: Search,
    /// What became of changes of clocks, where the run's own controller made them; the
    /// warm-up counts in.
    pub dvfs: Option<DvfsSummary>,
}

#[expect(clippy::cast_precision_loss, reason = "counts and spans below 2^53")]
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

impl Outcome {
    /// Nothing so far.
    ///
    /// # Panics
    /// Never: three digits are a precision that histograms have.
    #[must_use]
    pub fn new() -> Self {
        Self {
            latency_ns: histogram(),
            total_ns: 0,
            misses: 0,
            exits: [0; MAX_EXITS],
            frames: Tally::default(),
            clips: Tally::default(),
            clip: None,
            work_j: 0.0,
            span_ns: 0,
            span_j: 0.0,
        }
    }

    /// A frame is done.
    pub(super) fn frame(
        &mut self,
        frame: &TraceFrame,
        latency_ns: u64,
        deadline: u64,
        joules: f64,
    ) {
        self.latency_ns.saturating_record(latency_ns);
        self.total_ns += latency_ns;
        self.misses += u64::from(latency_ns > deadline);
        self.exits[usize::from(frame.exit)] += 1;
        self.work_j += joules;
        let right = frame.is_right();
        if frame.first {
            self.end_clip();
        }
        if let Some(right) = right {
            self.frames.count(right);
            self.clip = Some(right);
        }
    }

    fn end_clip(&mut self) {
        if let Some(right) = self.clip.take() {
            self.clips.count(right);
        }
    }

    /// A span of the stream is over.
    pub(super) fn span(&mut self, ns: u64, joules: f64) {
        self.end_clip();
        self.span_ns += ns;
        self.span_j += joules;
    }

    /// The figures.
    #[must_use]
    pub fn figures(&self, exits: usize, search: Search, dvfs: Option<DvfsSummary>) -> Figures {
        let frames: u64 = self.exits.iter().sum();
        let each = 1.0 / float(frames.max(1));
        let ms = |ns: u64| float(ns) / 1e6;
        let depth = (1_u64..).zip(&self.exits).map(|(exit, n)| exit * n);
        Figures {
            frames,
            latency_mean_ms: ms(self.total_ns) * each,
            latency_p50_ms: ms(self.latency_ns.value_at_quantile(0.5)),
            latency_p99_ms: ms(self.latency_ns.value_at_quantile(0.99)),
            latency_max_ms: ms(self.latency_ns.max()),
            energy_mj: 1e3 * self.span_j * each,
            work_mj: 1e3 * self.work_j * each,
            watts: self.span_j / (float(self.span_ns.max(1)) / 1e9),
            deadline_misses: self.misses,
            frame_accuracy: self.frames.share(),
            clip_accuracy: self.clips.share(),
            mean_exit: float(depth.sum()) * each,
            exits: self.exits[..exits.min(MAX_EXITS)].to_vec(),
            search,
            dvfs,
        }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::new()
    }
}

/// Up to ten minutes, to three digits.
fn histogram() -> Histogram<u64> {
    const LONGEST_NS: u64 = 600_000_000_000;
    #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
    Histogram::new_with_bounds(1_000, LONGEST_NS, 3).expect("bounds of a histogram")
}
