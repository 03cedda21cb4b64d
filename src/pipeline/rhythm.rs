//! When a stage can expect its next piece of work.
//!
//! For the sink that is the next frame's capture plus the time from capture to
//! result. For the gate, after a `GoOn` it is one segment's time away, and after a `Leave`
//! the next frame's capture plus the time to its first feature. These times are running medians in effect: an estimate moves by a fixed share towards
//! each sample and never by more than a quarter of itself, so that a single
//! pre-empted run does not spoil it. Costs a few arithmetic operations a feature.

use super::gate::{Feature, Outcome};
use super::predict::ArrivalPredictor;
use crate::telemetry::MAX_EXITS;

/// A sample moves an estimate by this share of the difference.
const SHARE: f64 = 0.125;

/// A duration learnt from samples, in nanoseconds; 0 until the first.
#[derive(Clone, Copy, Debug, Default)]
struct Learnt(f64);

impl Learnt {
    fn learn(&mut self, sample_ns: u64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "durations are far below 2^53 ns"
        )]
        let sample = sample_ns as f64;
        if self.0 == 0.0 {
            self.0 = sample;
        } else {
            let limit = self.0 / 4.0;
            self.0 += ((sample - self.0) * SHARE).clamp(-limit, limit);
        }
    }

    fn get_ns(self) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive duration"
        )]
        let ns = self.0 as u64;
        (ns > 0).then_some(ns)
    }
}

/// Frames that reach a stage some time after their capture.
#[derive(Debug)]
pub(super) struct FrameRhythm {
    frames: ArrivalPredictor,
    /// Capture to arrival at the stage.
    lag: Learnt,
}

impl Default for FrameRhythm {
    fn default() -> Self {
        Self {
            frames: ArrivalPredictor::new(None),
            lag: Learnt::default(),
        }
    }
}

impl FrameRhythm {
    /// When the next frame is expected, as far as that is known.
    pub fn expected_ns(&self, now_ns: u64) -> Option<u64> {
        let lag_ns = self.lag.get_ns()?;
        Some(self.frames.next_after(now_ns.saturating_sub(lag_ns))? + lag_ns)
    }

    /// Frame number `sample`, captured at `captured_ns`, has arrived.
    pub fn arrived(&mut self, sample: u64, captured_ns: u64, now_ns: u64) {
        self.frames.observe(sample, captured_ns);
        self.lag.learn(now_ns.saturating_sub(captured_ns));
    }
}

/// The gate's view of the pipeline's rhythm.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    frames: FrameRhythm,
    /// From a `GoOn` to the feature of the next exit, by that exit.
    segments: [Learnt; MAX_EXITS],
    /// Exit that is under way after a `GoOn`, and since when.
    under_way: Option<(usize, u64)>,
}

impl Rhythm {
    /// When the next feature is expected, as far as that is known.
    pub fn expected_ns(&self, now_ns: u64) -> Option<u64> {
        match self.under_way {
            Some((exit, since_ns)) => Some(since_ns + self.segments.get(exit)?.get_ns()?),
            None => self.frames.expected_ns(now_ns),
        }
    }

    /// A feature has arrived.
    pub fn arrived(&mut self, feature: &Feature, now_ns: u64) {
        if feature.exit == 0 {
            let header = &feature.header;
            self.frames
                .arrived(header.sample, header.captured_ns, now_ns);
        } else if let Some((exit, since_ns)) = self.under_way
            && let Some(segment) = self.segments.get_mut(exit)
        {
            segment.learn(now_ns.saturating_sub(since_ns));
        }
    }

    /// The feature has been judged.
    pub fn judged(&mut self, exit: u8, outcome: Outcome, now_ns: u64) {
        self.under_way = (outcome == Outcome::GoOn).then_some((usize::from(exit) + 1, now_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::FrameHeader;
    use super::*;

    const US: u64 = 1_000;

    fn feature(sample: u64, exit: u8, captured_ns: u64) -> Feature {
        let header = FrameHeader {
            sample,
            captured_ns,
            ..FrameHeader::default()
        };
        Feature {
            header,
            exit,
            started_ns: 0,
            segment_ns: 0,
            pooled: Vec::new(),
        }
    }

    #[test]
    fn it_expects_the_next_segment_and_then_the_next_frame() {
        let mut rhythm = Rhythm::default();
        let mut now = 0;
        for frame in 0..20 {
            let captured = 1_000_000 * US + frame * 33_333 * US;
            now = captured + 900 * US;
            rhythm.arrived(&feature(frame, 0, captured), now);
            rhythm.judged(0, Outcome::GoOn, now);
            now += 700 * US;
            rhythm.arrived(&feature(frame, 1, captured), now);
            rhythm.judged(1, Outcome::Leave, now);
        }
        let captured = 1_000_000 * US + 20 * 33_333 * US;
        let expected = rhythm.expected_ns(now).unwrap();
        assert!(
            expected.abs_diff(captured + 900 * US) < 20 * US,
            "{expected}"
        );
        rhythm.arrived(&feature(20, 0, captured), captured + 900 * US);
        rhythm.judged(0, Outcome::GoOn, captured + 900 * US);
        let expected = rhythm.expected_ns(captured + 910 * US).unwrap();
        assert!(
            expected.abs_diff(captured + 1600 * US) < 20 * US,
            "{expected}"
        );
    }

    #[test]
    fn it_expects_nothing_before_it_has_seen_anything() {
        assert_eq!(Rhythm::default().expected_ns(5), None);
    }

    #[test]
    fn one_preempted_run_moves_an_estimate_by_a_quarter_at_most() {
        let mut learnt = Learnt::default();
        (0..50).for_each(|_| learnt.learn(1_000 * US));
        learnt.learn(50_000 * US);
        assert!(learnt.get_ns().unwrap() <= 1_250 * US);
    }
}
