//! What a run amounts to: counts, accuracy and latency histograms.
//!
//! Guarantees: recording a frame allocates nothing and touches no fresh page; the
//! size does not grow with frames or clips. Costs six histogram records a frame,
//! 4-8 ns each when warm. Percentiles are exact to three digits; anything above
//! ten minutes counts as ten minutes.
//!
//! Accuracy counts what is labelled. A frame is right when its own class is; a
//! clip is right when the class at its last result is, and counts once its end is
//! known: when the next one begins or [`Aggregate::end_clip`] says so. The share of
//! MACs is that of the backbone's segments that ran, against all of them for every
//! frame; heads are not counted, as in the model card.

use super::{FrameResult, MAX_EXITS};
use hdrhistogram::Histogram;

/// Longest time that the histograms tell from a longer one.
const LONGEST_NS: u64 = 600_000_000_000;

/// Right answers among those that could be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Right answers.
    pub right: u64,
    /// Answers with a label.
    pub labelled: u64,
}

impl Tally {
    fn count(&mut self, right: bool) {
        self.labelled += 1;
        self.right += u64::from(right);
    }

    /// Share of right answers, if there was a label at all.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.labelled > 0).then(|| self.right as f64 / self.labelled as f64)
    }
}

/// Latency histograms in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Making the input tensor.
    pub tensor: Histogram<u64>,
    /// All segments that ran.
    pub infer: Histogram<u64>,
    /// All heads and gates that ran.
    pub gate: Histogram<u64>,
    /// The total, less the time during which any of the three above was at work.
    pub overhead: Histogram<u64>,
    /// Capture until the sink has the result.
    pub total: Histogram<u64>,
    /// The same for the frames that left at each exit.
    pub by_exit: Vec<Histogram<u64>>,
}

/// A clip; in an endless stream, frames of one label in a row.
type Stretch = (u32, Option<u16>);

/// The running totals of a run.
#[derive(Clone, Debug)]
pub struct Aggregate {
    exits: Vec<u64>,
    segment_macs: Vec<u64>,
    latencies: Latencies,
    frames: Tally,
    clips: Tally,
    clip: Option<(Stretch, Option<bool>)>,
    endless: bool,
    span_ns: Option<(u64, u64)>,
}

impl Aggregate {
    /// Totals for a bundle whose segments cost `segment_macs`.
    #[must_use]
    pub fn new(segment_macs: &[u64]) -> Self {
        let exits = segment_macs.len().clamp(1, MAX_EXITS);
        Self {
            exits: vec![0; exits],
            segment_macs: segment_macs.to_vec(),
            latencies: Latencies {
                tensor: histogram(),
                infer: histogram(),
                gate: histogram(),
                overhead: histogram(),
                total: histogram(),
                by_exit: (0..exits).map(|_| histogram()).collect(),
            },
            frames: Tally::default(),
            clips: Tally::default(),
            clip: None,
            endless: false,
            span_ns: None,
        }
    }

    /// The frames are those of an endless stream: what counts as a clip is each
    /// action, from one change of the label to the next.
    #[must_use]
    pub fn endless(mut self, endless: bool) -> Self {
        self.endless = endless;
        self
    }

    /// Adds a frame.
    pub fn record(&mut self, result: &FrameResult) {
        let exit = usize::from(result.exit).min(self.exits.len() - 1);
        self.exits[exit] += 1;
        let evaluated = result.evaluated();
        let sum = |part: fn(&super::ExitRecord) -> u64| evaluated.iter().map(part).sum::<u64>();
        let latency = result.latency_ns();
        let times = &mut self.latencies;
        times.tensor.saturating_record(result.tensor_ns);
        times.infer.saturating_record(sum(|e| e.segment_ns));
        times.gate.saturating_record(sum(|e| e.gate_ns));
        times.total.saturating_record(latency);
        times.overhead.saturating_record(result.overhead_ns());
        times.by_exit[exit].saturating_record(latency);
        let (first, last) = self
            .span_ns
            .unwrap_or((result.captured_ns, result.delivered_ns));
        self.span_ns = Some((first.min(result.captured_ns), last.max(result.delivered_ns)));
        self.judge(result);
    }

    fn judge(&mut self, result: &FrameResult) {
        let right = result.label.map(|label| label == result.class);
        if let Some(right) = right {
            self.frames.count(right);
        }
        let stretch = (result.clip, result.label.filter(|_| self.endless));
        match &mut self.clip {
            Some((clip, last)) if *clip == stretch => *last = right.or(*last),
            other => {
                if let Some((_, Some(right))) = other.replace((stretch, right)) {
                    self.clips.count(right);
                }
            }
        }
    }

    /// The clip under way is complete: the source ended behind it.
    pub fn end_clip(&mut self) {
        if let Some((_, Some(right))) = self.clip.take() {
            self.clips.count(right);
        }
    }

    /// Frames that became results.
    #[must_use]
    pub fn results(&self) -> u64 {
        self.exits.iter().sum()
    }

    /// Results by exit, the first exit first.
    #[must_use]
    pub fn exits(&self) -> &[u64] {
        &self.exits
    }

    /// Mean exit, counted from 1.
    #[must_use]
    pub fn mean_exit(&self) -> Option<f64> {
        let weighted: f64 = (1..)
            .zip(&self.exits)
            .map(|(n, &c)| f64::from(n) * c as f64)
            .sum();
        (self.results() > 0).then(|| weighted / self.results() as f64)
    }

    /// Right frames.
    #[must_use]
    pub fn frame_accuracy(&self) -> Tally {
        self.frames
    }

    /// Right clips among those that came to their end.
    #[must_use]
    pub fn clip_accuracy(&self) -> Tally {
        self.clips
    }

    /// MACs of the segments that ran, against every segment for every frame.
    #[must_use]
    pub fn macs_share(&self) -> Option<f64> {
        let full: u64 = self.segment_macs.iter().sum();
        let mut depth = 0.0;
        let mut run = 0.0;
        for (&macs, &count) in self.segment_macs.iter().zip(&self.exits) {
            depth += macs as f64;
            run += depth * count as f64;
        }
        let whole = full as f64 * self.results() as f64;
        (whole > 0.0).then(|| run / whole)
    }

    /// The latency histograms.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// First capture to last result.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.span_ns
            .map_or(0, |(first, last)| last.saturating_sub(first))
    }

    /// Results per second between the first capture and the last of them.
    #[must_use]
    pub fn rate_hz(&self) -> Option<f64> {
        let elapsed = self.elapsed_ns();
        (elapsed > 0).then(|| self.results() as f64 * 1e9 / elapsed as f64)
    }
}

/// An empty histogram whose pages are all there.
fn histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are constant and valid");
    histogram.reset();
    histogram
}

#[cfg(test)]
mod tests {
    use super::super::testing::frame;
    use super::*;

    fn aggregate() -> Aggregate {
        Aggregate::new(&[10, 30, 60])
    }

    #[test]
    fn macs_are_those_of_the_segments_that_ran() {
        let mut totals = aggregate();
        assert_eq!(totals.macs_share(), None);
        for exit in [0, 0, 1, 2] {
            totals.record(&frame(exit));
        }
        assert_eq!(totals.exits(), [2, 1, 1]);
        assert_eq!(
            totals.macs_share(),
            Some((10.0 + 10.0 + 40.0 + 100.0) / 400.0)
        );
        assert_eq!(totals.mean_exit(), Some(1.75));
    }

    #[test]
    fn a_clip_is_right_when_its_last_result_is() {
        let mut totals = aggregate();
        for (clip, class) in [(0, 1), (0, 0), (1, 0), (1, 1), (2, 1)] {
            let mut result = frame(0);
            (result.clip, result.class, result.label) = (clip, class, Some(0));
            totals.record(&result);
        }
        assert_eq!(totals.clip_accuracy().labelled, 2, "the third is under way");
        totals.end_clip();
        totals.end_clip();
        assert_eq!(
            totals.frame_accuracy(),
            Tally {
                right: 2,
                labelled: 5
            }
        );
        assert_eq!(
            totals.clip_accuracy(),
            Tally {
                right: 1,
                labelled: 3
            }
        );
    }

    #[test]
    fn in_an_endless_stream_each_action_is_judged_at_its_last_frame() {
        let mut totals = aggregate().endless(true);
        for (label, class) in [(0, 1), (0, 0), (1, 0), (1, 1), (0, 1)] {
            let mut result = frame(0);
            (result.class, result.label) = (class, Some(label));
            totals.record(&result);
        }
        totals.end_clip();
        let clips = totals.clip_accuracy();
        assert_eq!((clips.right, clips.labelled), (2, 3));
    }

    #[test]
    fn unlabelled_frames_and_clips_are_not_judged() {
        let mut totals = aggregate();
        totals.record(&frame(0));
        assert_eq!(totals.frame_accuracy().share(), None);
        assert_eq!(totals.clip_accuracy().share(), None);
        let mut result = frame(0);
        (result.label, result.clip) = (Some(0), 1);
        totals.record(&result);
        totals.end_clip();
        assert_eq!(totals.frame_accuracy().share(), Some(1.0));
        assert_eq!(totals.clip_accuracy().share(), Some(1.0));
    }

    #[test]
    fn stages_add_up_over_the_segments_that_ran() {
        let mut totals = aggregate();
        totals.record(&frame(1));
        let times = totals.latencies();
        let near = |h: &Histogram<u64>, wanted: u64| {
            assert!(
                h.max().abs_diff(wanted) <= wanted / 500,
                "{} {wanted}",
                h.max()
            );
        };
        near(&times.tensor, 100_000);
        near(&times.infer, 2_000_000);
        near(&times.gate, 40_000);
        near(&times.total, 2_200_000);
        near(&times.overhead, 60_000);
        assert_eq!(times.by_exit[1].len(), 1);
    }

    #[test]
    fn a_segment_that_runs_while_the_gate_thinks_is_not_work_twice() {
        let mut result = frame(1);
        // The second segment ran during the whole of the first gate's 20 us.
        result.overlap_ns = 20_000;
        result.delivered_ns -= 20_000;
        assert_eq!(result.overhead_ns(), frame(1).overhead_ns());
        assert_eq!(result.latency_ns(), result.work_ns() + 60_000);
    }

    #[test]
    fn values_beyond_every_bound_are_kept_in_bounds() {
        let mut totals = Aggregate::new(&[]);
        let mut result = frame(0);
        result.exit = u8::MAX;
        (result.captured_ns, result.delivered_ns) = (0, u64::MAX);
        totals.record(&result);
        assert_eq!(totals.results(), 1);
        assert_eq!(totals.macs_share(), None);
        assert!(totals.latencies().total.max() >= LONGEST_NS);
    }
}
