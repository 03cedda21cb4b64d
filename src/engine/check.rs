//! Proof that an engine computes what the trainer computed: a bundle's golden
//! frames run through every segment, features compared.
//!
//! [`golden_features`] compares the pooled features. [`run_golden`] hands them
//! on frame by frame, so that what is computed from them (logits, gates) can be
//! compared in the same way. It is for checks, not for the way of a frame: it
//! always runs to full depth and copies every feature to the host.

use super::bundle::{Bundle, Golden, Precision, elements};
use super::{Engine, EngineError, SegmentIo};
use serde::Serialize;

/// Largest relative error at which an engine counts as equal to the trainer.
pub const TOLERANCE: f32 = 1e-3;

/// The same for a bundle in 8 bits: what the last bit of a float makes of a value halfway
/// between two steps moves others behind it.
pub const INT8_TOLERANCE: f32 = 0.1;

/// Largest relative error at which features count as the trainer's.
#[must_use]
pub fn tolerance(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => TOLERANCE,
        Precision::Int8 => INT8_TOLERANCE,
    }
}

/// How far a segment's features are from the trainer's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureError {
    /// Index of the segment.
    pub segment: usize,
    /// Its file.
    pub file: String,
    /// The largest [`relative_error`] of a feature; infinite where a value is
    /// not a number.
    pub max_relative_error: f32,
    /// Features compared: golden clips times frames with features.
    pub features: usize,
    /// What is let pass.
    pub tolerance: f32,
}

impl FeatureError {
    /// True when the segment is within its tolerance.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.max_relative_error <= self.tolerance
    }
}

/// Largest difference between two vectors, relative to the largest magnitude in
/// `expected` (absolute where that is 0); infinite when a difference is not a
/// number or the lengths differ.
#[must_use]
pub fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    let mut difference = 0.0_f32;
    let mut scale = 0.0_f32;
    for (f, e) in found.iter().zip(expected) {
        let d = (f - e).abs();
        if !d.is_finite() {
            return f32::INFINITY;
        }
        difference = difference.max(d);
        scale = scale.max(e.abs());
    }
    if scale > 0.0 {
        difference / scale
    } else {
        difference
    }
}

/// Runs the first `frames` frames of every golden clip through all segments and
/// calls `visit(clip, t, exit, pooled feature)` for each exit in order.
///
/// # Errors
/// When a segment does not load or run.
pub fn run_golden(
    engine: &dyn Engine,
    bundle: &Bundle,
    golden: &Golden<'_>,
    frames: usize,
    mut visit: impl FnMut(usize, usize, usize, &[f32]),
) -> Result<(), EngineError> {
    let specs = &bundle.manifest().segments;
    let mut chain = Vec::with_capacity(specs.len());
    for (k, spec) in specs.iter().enumerate() {
        let io = SegmentIo::new(engine, spec)?;
        chain.push((engine.load(bundle, k)?, Some(io)));
    }
    let longest = specs.iter().map(|s| elements(&s.input)).max();
    let mut map = vec![0.0; longest.unwrap_or(0)];
    let mut feature = Vec::new();
    for clip in 0..golden.clips() {
        for t in 0..frames.min(golden.frames()) {
            let mut len = specs.first().map_or(0, |s| elements(&s.input));
            if !golden.write_input(clip, t, &mut map[..len]) {
                let host = golden.rgb(clip, t).map_or(0, <[u8]>::len);
                return Err(EngineError::Length { buffer: len, host });
            }
            for (exit, (segment, slot)) in chain.iter_mut().enumerate() {
                let Some(mut io) = slot.take() else { continue };
                io.input.write_from(&map[..len])?;
                segment.enqueue(io)?;
                let io = slot.insert(segment.wait()?);
                feature.resize(io.pooled.len(), 0.0);
                io.pooled.read_into(&mut feature)?;
                visit(clip, t, exit, &feature);
                if let Some(output) = &io.output {
                    len = output.len();
                    output.read_into(&mut map[..len])?;
                }
            }
        }
    }
    Ok(())
}

/// Compares every segment's features with the golden ones.
///
/// # Errors
/// When a segment does not load or run.
pub fn golden_features(
    engine: &dyn Engine,
    bundle: &Bundle,
    golden: &Golden<'_>,
) -> Result<Vec<FeatureError>, EngineError> {
    let specs = bundle.manifest().segments.iter().enumerate();
    let mut errors: Vec<FeatureError> = specs
        .map(|(segment, spec)| FeatureError {
            segment,
            file: spec.file.clone(),
            max_relative_error: 0.0,
            features: 0,
            tolerance: tolerance(bundle.manifest().precision),
        })
        .collect();
    let frames = golden.pooled_frames();
    run_golden(engine, bundle, golden, frames, |clip, t, exit, found| {
        let expected = golden.pooled(exit, clip, t).unwrap_or_default();
        let error = &mut errors[exit];
        error.features += 1;
        error.max_relative_error = error
            .max_relative_error
            .max(relative_error(found, expected));
    })?;
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::relative_error;

    #[test]
    fn the_error_is_relative_to_the_largest_magnitude() {
        assert_eq!(relative_error(&[1.0, -4.5], &[1.0, -4.0]), 0.125);
        assert_eq!(relative_error(&[0.5], &[0.0]), 0.5);
        assert_eq!(relative_error(&[], &[]), 0.0);
    }

    #[test]
    fn what_cannot_be_compared_is_infinitely_wrong() {
        for (found, expected) in [
            (&[f32::NAN][..], &[1.0][..]),
            (&[1.0], &[f32::NAN]),
            (&[f32::INFINITY], &[f32::INFINITY]),
            (&[1.0], &[1.0, 2.0]),
        ] {
            assert_eq!(relative_error(found, expected), f32::INFINITY);
        }
    }
}
