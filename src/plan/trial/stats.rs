//! Medians, percentiles and their 95 % intervals.

use crate::plan::random::Random;
use serde::Serialize;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Value below which the share `q` of sorted values lies, interpolated linearly;
/// NaN for no values.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "places in a list"
)]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, share) = (place as usize, place.fract());
    let high = (low + 1).min(last);
    sorted[low] + (sorted[high] - sorted[low]) * share
}

/// Quantile `q` of values, with the percentile bootstrap over `rounds` resamples.
#[must_use]
pub fn bootstrap(values: &[f64], q: f64, rounds: usize, seed: u64) -> Figure {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut random = Random::new(seed, 0);
    let mut drawn: Vec<f64> = (0..rounds)
        .map(|_| {
            let mut sample: Vec<usize> = (0..sorted.len())
                .map(|_| random.below(sorted.len()))
                .collect();
            sample.sort_unstable();
            let sample: Vec<f64> = sample.into_iter().map(|i| sorted[i]).collect();
            quantile(&sample, q)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    Figure {
        value: quantile(&sorted, q),
        low: quantile(&drawn, 0.025),
        high: quantile(&drawn, 0.975),
    }
}

/// A share with Wilson's score interval.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of runs")]
pub fn share(hits: usize, of: usize) -> Figure {
    if of == 0 {
        let none = f64::NAN;
        return Figure {
            value: none,
            low: none,
            high: none,
        };
    }
    let (n, p, z) = (of as f64, hits as f64 / of as f64, 1.959_964);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Figure {
        value: p,
        low: ((middle - half) / scale).max(0.0),
        high: ((middle + half) / scale).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let values = [1.0, 2.0, 4.0];
        assert_eq!(quantile(&values, 0.5), 2.0);
        assert_eq!(quantile(&values, 0.75), 3.0);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn intervals_hold_their_figure() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let median = bootstrap(&values, 0.5, 200, 1);
        assert_eq!(median.value, 99.5);
        assert!(median.low < 99.5 && median.low > 80.0);
        assert!(median.high > 99.5 && median.high < 120.0);
        assert!(bootstrap(&[], 0.5, 10, 1).value.is_nan());
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        let none = share(0, 100);
        assert!(
            none.low == 0.0 && (none.high - 0.0370).abs() < 1e-4,
            "{none:?}"
        );
        let half = share(50, 100);
        assert!((half.low - 0.4038).abs() < 1e-4 && (half.high - 0.5962).abs() < 1e-4);
        assert!(share(0, 0).value.is_nan());
    }
}
