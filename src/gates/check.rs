//! Proof that engine and gates together decide what the trainer decided: a
//! bundle's golden clips run from pixels to exits.
//!
//! A decision is one gate asked on one frame. Where the trainer's probability is
//! within [`MARGIN`] of the threshold, rounding may tip it either way: such a
//! decision is not *clear* and is not compared. It is for checks, not for the
//! way of a frame: every frame runs to full depth.

use super::{ExitPolicy, Gates, GatesError};
use crate::engine::bundle::{Bundle, Golden, Precision};
use crate::engine::check::{TOLERANCE, relative_error, run_golden};
use crate::engine::{Engine, EngineError};
use serde::Serialize;

/// How close to its threshold a probability is too close to call.
pub const MARGIN: f32 = 1e-3;
/// Least share of decisions that must be clear.
pub const CLEAR_SHARE: f64 = 0.99;

/// Least share of frames with the trainer's class, of a bundle in 8 bits.
pub const CLASS_SHARE: f64 = 0.99;

/// How the decisions compare with the trainer's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Decisions {
    /// Golden frames run.
    pub frames: usize,
    /// Gates asked on them.
    pub decisions: usize,
    /// Those outside the margin.
    pub clear: usize,
    /// Clear ones that came out the other way.
    pub differing: usize,
    /// The largest relative error of an exit's logits.
    pub max_logit_error: f32,
    /// The largest difference of a gate's probability.
    pub max_gate_error: f32,
    /// Frames whose class, at the exit that the trainer took, is another.
    pub other_classes: usize,
    /// What the bundle computes in.
    pub precision: Precision,
}

/// Why the decisions could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A segment does not load or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The heads do not load.
    #[error(transparent)]
    Gates(#[from] GatesError),
}

impl Decisions {
    /// True when all clear decisions are the trainer's, enough of them are
    /// clear, and the logits are within the engine's tolerance. In 8 bits: when
    /// enough frames have the trainer's class.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few thousand decisions")]
    pub fn is_equal(&self) -> bool {
        if self.precision == Precision::Int8 {
            let same = self.frames - self.other_classes.min(self.frames);
            return same as f64 >= CLASS_SHARE * self.frames as f64;
        }
        let clear = self.clear as f64 >= CLEAR_SHARE * self.decisions as f64;
        clear && self.differing == 0 && self.max_logit_error <= TOLERANCE
    }
}

/// Runs every golden clip from pixels to exits and compares.
///
/// # Errors
/// When a segment or the heads do not load or run.
pub fn golden_decisions(
    engine: &dyn Engine,
    bundle: &Bundle,
    golden: &Golden<'_>,
) -> Result<Decisions, CheckError> {
    let mut replay = Replay {
        gates: Gates::open(bundle, ExitPolicy::Gates)?,
        bundle,
        golden,
        features: vec![Vec::new(); bundle.manifest().exit_count()],
        found: Decisions {
            precision: bundle.manifest().precision,
            ..Decisions::default()
        },
        failure: None,
    };
    run_golden(
        engine,
        bundle,
        golden,
        golden.frames(),
        |clip, t, exit, pooled| {
            replay.features[exit].clear();
            replay.features[exit].extend_from_slice(pooled);
            if exit + 1 == replay.features.len() && replay.failure.is_none() {
                replay.failure = replay.frame(clip, t).err();
            }
        },
    )?;
    match replay.failure {
        Some(error) => Err(error.into()),
        None => Ok(replay.found),
    }
}

/// Where the largest value is.
fn largest(values: &[f32]) -> Option<usize> {
    let each = values.iter().enumerate();
    each.max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
}

/// Gates that follow the trainer's path.
struct Replay<'a> {
    gates: Gates,
    bundle: &'a Bundle,
    golden: &'a Golden<'a>,
    features: Vec<Vec<f32>>,
    found: Decisions,
    failure: Option<GatesError>,
}

impl Replay<'_> {
    fn frame(&mut self, clip: usize, t: usize) -> Result<(), GatesError> {
        if t == 0 {
            self.gates.reset();
        }
        self.found.frames += 1;
        self.gates.begin_frame();
        for exit in 0..self.features.len() {
            self.compare(clip, t, exit)?;
        }
        // The deeper exits were only looked at: propose again up to the one taken.
        self.gates.begin_frame();
        let taken = self.golden.exit(clip, t).unwrap_or(0);
        for (exit, feature) in self.features.iter().enumerate().take(taken + 1) {
            self.gates.evaluate(exit, feature)?;
        }
        self.gates.commit();
        Ok(())
    }

    fn compare(&mut self, clip: usize, t: usize, exit: usize) -> Result<(), GatesError> {
        let classes = self.bundle.manifest().labels.len();
        let evaluation = self.gates.evaluate(exit, &self.features[exit])?;
        let logits = self.golden.logits(clip, t).unwrap_or_default();
        let expected = logits.get(exit * classes..(exit + 1) * classes);
        let error = relative_error(self.gates.logits(), expected.unwrap_or_default());
        self.found.max_logit_error = self.found.max_logit_error.max(error);
        if self.golden.exit(clip, t) == Some(exit) {
            let other = largest(self.gates.logits()) != largest(expected.unwrap_or_default());
            self.found.other_classes += usize::from(other);
        }
        let gate = self.golden.gate(clip, t).and_then(|gates| gates.get(exit));
        let threshold = self.bundle.manifest().exits[exit].threshold;
        if let (Some(&gate), Some(threshold)) = (gate, threshold) {
            self.found.decisions += 1;
            let difference = (evaluation.gate - gate).abs();
            self.found.max_gate_error = self.found.max_gate_error.max(difference);
            if (gate - threshold).abs() > MARGIN {
                self.found.clear += 1;
                self.found.differing += usize::from(evaluation.leave != (gate >= threshold));
            }
        }
        Ok(())
    }
}
