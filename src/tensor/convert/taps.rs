//! Filter weights of one axis: which samples make an output, and how much.

use super::Resize;
use std::ops::Range;

impl Resize {
    /// How far from an output's centre samples count, in samples, where an
    /// output is `shrink` samples wide, at least 1.
    fn support(self, shrink: f64) -> f64 {
        match self {
            Self::Triangle => shrink,
            Self::Area => f64::midpoint(shrink, 1.0),
            Self::Bilinear => 1.0,
        }
    }

    /// The weight of a sample so far from an output's centre, up to a factor.
    fn weight(self, away: f64, shrink: f64) -> f64 {
        match self {
            Self::Triangle => (1.0 - away / shrink).max(0.0),
            Self::Area => (self.support(shrink) - away).clamp(0.0, 1.0),
            Self::Bilinear => (1.0 - away).max(0.0),
        }
    }
}

/// Weights of one axis. Every output takes the same number of consecutive
/// samples, some perhaps with weight 0, so that a loop over outputs has no
/// branches.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    /// First sample of each output.
    starts: Vec<usize>,
    /// Weights, `[taps, outputs]`.
    weights: Vec<f32>,
    /// Samples that any output takes.
    range: Range<usize>,
}

impl Taps {
    /// Filter from the samples of `start..start + length` (sample i is centred
    /// at i + 0.5) to `outputs` outputs. Only samples that overlap that span are
    /// taken, and none beyond `samples`.
    pub(super) fn new(
        (start, length): (f64, f64),
        samples: usize,
        outputs: usize,
        resize: Resize,
    ) -> Self {
        // Spans are computed; a hair of rounding must not reach for a sample.
        let low = floor(start + 1e-6).min(samples - 1);
        let high = (floor(start + length - 1e-6) + 1).clamp(low + 1, samples);
        let scale = length / float(outputs);
        let shrink = scale.max(1.0);
        let support = resize.support(shrink);
        let centre = |output: usize| start + (float(output) + 0.5) * scale;
        let first = |output: usize| floor(centre(output) - support - 0.5).clamp(low, high - 1);
        let reach = floor(2.0 * support).saturating_add(3);
        let count = reach.min(high - low);
        let starts: Vec<usize> = (0..outputs).map(|o| first(o).min(high - count)).collect();
        let mut weights = vec![0.0; count * outputs];
        let mut used = vec![0.0; count];
        for (output, start) in starts.iter().enumerate() {
            for (k, weight) in used.iter_mut().enumerate() {
                let away = (float(start + k) + 0.5 - centre(output)).abs();
                *weight = resize.weight(away, shrink);
            }
            let sum: f64 = used.iter().sum();
            for (k, weight) in used.iter().enumerate() {
                weights[k * outputs + output] = narrow(weight / sum);
            }
        }
        Self {
            starts,
            weights,
            range: low..high,
        }
        .trimmed(outputs)
    }

    /// Without the taps that no output uses.
    fn trimmed(mut self, outputs: usize) -> Self {
        while self.weights.len() > outputs
            && self.weights[self.weights.len() - outputs..]
                .iter()
                .all(|w| *w == 0.0)
        {
            self.weights.truncate(self.weights.len() - outputs);
        }
        self
    }

    /// The most samples that an output takes.
    pub(super) fn most(&self) -> usize {
        self.weights.len() / self.starts.len().max(1)
    }

    /// Samples that any output takes.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Samples and weights of one output; those of weight 0 left out.
    pub(super) fn of(&self, output: usize) -> impl Iterator<Item = (usize, f32)> {
        let column = self.weights[output..].iter().step_by(self.starts.len());
        let taps = (self.starts[output]..).zip(column.copied());
        taps.filter(|(_, weight)| *weight != 0.0)
    }

    /// Filters `samples`, every `step`-th from `offset` on, whose first is
    /// sample `first` of the axis, into one value per output.
    pub(super) fn filter(
        &self,
        samples: &[f32],
        (first, step, offset): (usize, usize, usize),
        out: &mut [f32],
    ) {
        out.fill(0.0);
        for (k, weights) in self.weights.chunks_exact(out.len().max(1)).enumerate() {
            for ((sum, start), weight) in out.iter_mut().zip(&self.starts).zip(weights) {
                *sum += weight * samples[(start + k - first) * step + offset];
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer saturates, and a position is never far from its image"
)]
fn floor(position: f64) -> usize {
    position as usize
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn float(size: usize) -> f64 {
    size as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a weight in 0..=1")]
fn narrow(weight: f64) -> f32 {
    weight as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(taps: &Taps, output: usize) -> Vec<(usize, f32)> {
        taps.of(output).collect()
    }

    #[test]
    fn the_same_size_is_the_identity() {
        let taps = Taps::new((0.0, 7.0), 7, 7, Resize::Triangle);
        for output in 0..7 {
            assert_eq!(of(&taps, output), [(output, 1.0)]);
        }
    }

    #[test]
    fn doubling_is_bilinear_between_centres() {
        let taps = Taps::new((0.0, 3.0), 3, 6, Resize::Triangle);
        assert_eq!(of(&taps, 0), [(0, 1.0)]);
        assert_eq!(of(&taps, 1), [(0, 0.75), (1, 0.25)]);
        assert_eq!(of(&taps, 2), [(0, 0.25), (1, 0.75)]);
        assert_eq!(of(&taps, 5), [(2, 1.0)]);
    }

    #[test]
    fn halving_widens_the_triangle() {
        let taps = Taps::new((0.0, 8.0), 8, 4, Resize::Triangle);
        let middle = of(&taps, 1);
        let want = [(1, 0.125), (2, 0.375), (3, 0.375), (4, 0.125)];
        assert_eq!(middle, want);
    }

    #[test]
    fn a_span_takes_nothing_from_outside() {
        let taps = Taps::new((2.0, 4.0), 9, 2, Resize::Triangle);
        assert_eq!(taps.range(), 2..6);
        for output in 0..2 {
            let taps = of(&taps, output);
            assert!(taps.iter().all(|(sample, _)| (2..6).contains(sample)));
            let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-6);
        }
    }
}
