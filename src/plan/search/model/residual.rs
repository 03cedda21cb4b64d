//! What physics leaves over: a Gaussian process on the logarithm of measured over
//! predicted values.
//!
//! Its covariance is that of a smooth residual (Matern 5/2 over the logarithms of
//! the relative clocks) plus that of the law's own coefficients, each of which may
//! be off by a factor: the shares of the terms. The size of the residual and the
//! noise of the readings are estimated together, from repeated readings and by the
//! marginal likelihood of the rest.

use super::linalg::{Cholesky, dot};
use crate::plan::space::Space;
use std::collections::BTreeMap;

/// Correlations of measured points with all points, computed once a point.
#[derive(Debug)]
pub struct Kernel {
    coordinates: Vec<[f64; 3]>,
    rows: BTreeMap<usize, Vec<f64>>,
}

/// Distances, in logarithms of the clock, over which the residual changes.
pub const SCALES: [f64; 3] = [0.8, 0.6, 0.6];

impl Kernel {
    /// Over a space.
    #[must_use]
    pub fn new(space: &Space) -> Self {
        let at = |point| {
            let u = space.relative(point);
            std::array::from_fn(|k| 5.0_f64.sqrt() * libm::log(u[k]) / SCALES[k])
        };
        Self {
            coordinates: (0..space.len()).map(at).collect(),
            rows: BTreeMap::new(),
        }
    }

    /// Makes the rows of these points.
    pub fn prepare(&mut self, points: &[usize]) {
        for &point in points {
            let coordinates = &self.coordinates;
            self.rows.entry(point).or_insert_with(|| {
                let own = coordinates[point];
                coordinates
                    .iter()
                    .map(|other| matern(own, *other))
                    .collect()
            });
        }
    }

    fn row(&self, point: usize) -> &[f64] {
        self.rows.get(&point).map_or(&[], Vec::as_slice)
    }
}

/// Matern 5/2 of a distance scaled by sqrt(5).
fn matern(a: [f64; 3], b: [f64; 3]) -> f64 {
    let square: f64 = (0..3).map(|k| (a[k] - b[k]).powi(2)).sum();
    let r = square.sqrt();
    (1.0 + r + square / 3.0) * libm::exp(-r)
}

/// What was measured: per point the mean of the residual's readings.
#[derive(Debug, Default)]
pub struct Residuals {
    /// Measured points.
    pub points: Vec<usize>,
    /// Mean residual of each.
    pub means: Vec<f64>,
    /// Readings of each.
    pub counts: Vec<f64>,
    /// Sum of squares of readings around their point's mean.
    pub within: f64,
}

/// Estimated sizes, as deviations of logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Of the smooth residual.
    pub residual: f64,
    /// Of a reading's noise.
    pub noise: f64,
}

/// Residual at every point: mean and deviation.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// Mean of the logarithm.
    pub mean: Vec<f64>,
    /// Deviation of the logarithm, noise left out.
    pub deviation: Vec<f64>,
    /// The sizes in use.
    pub sizes: Sizes,
}

/// Beliefs before any reading.
#[derive(Clone, Copy, Debug)]
pub struct Priors {
    /// Noise: median and deviation of its logarithm.
    pub noise: (f64, f64),
    /// Size of the smooth residual: median and deviation of its logarithm.
    pub residual: (f64, f64),
    /// Deviation of the logarithm of a law's coefficients.
    pub term: f64,
    /// Deviation of what is peculiar to a point and no noise.
    pub rough: f64,
    /// Deviation of the logarithm of the ratio of noises.
    pub couple: f64,
}
/// Noises that are weighed.
pub const NOISES: [f64; 14] = [
    1e-5, 1e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.065, 0.09, 0.13,
];
const RESIDUALS: [f64; 7] = [0.012, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2];

/// Student's t with 2 degrees of freedom.
pub fn heavy(value: f64, (median, deviation): (f64, f64)) -> f64 {
    let z = libm::log(value / median) / deviation;
    -1.5 * libm::log(1.0 + 0.5 * z * z)
}

fn log_prior(value: f64, (median, deviation): (f64, f64)) -> f64 {
    let z = libm::log(value / median) / deviation;
    -0.5 * z * z
}

/// Covariances among the measured points, apart from the noise.
struct Parts {
    n: usize,
    priors: Priors,
    smooth: Vec<f64>,
    terms: Vec<f64>,
}

impl Parts {
    fn new(kernel: &Kernel, shares: &[Vec<f64>], points: &[usize], priors: Priors) -> Self {
        let term_own = priors.term;
        let n = points.len();
        let mut parts = Self {
            n,
            priors,
            smooth: vec![0.0; n * n],
            terms: vec![0.0; n * n],
        };
        for (i, &a) in points.iter().enumerate() {
            let row = kernel.row(a);
            for (j, &b) in points[..=i].iter().enumerate() {
                parts.smooth[i * n + j] = row[b];
                let term: f64 = shares.iter().map(|s| s[a] * s[b]).sum();
                parts.terms[i * n + j] = term_own * term_own * term;
            }
        }
        parts
    }

    fn factor(&self, sizes: Sizes, counts: &[f64]) -> Cholesky {
        let (amplitude, noise) = (sizes.residual.powi(2), sizes.noise.powi(2));
        Cholesky::new(self.n, 1e-12, |i, j| {
            let at = i * self.n + j;
            let own = if i == j {
                noise / counts[i] + self.priors.rough * self.priors.rough
            } else {
                0.0
            };
            amplitude * self.smooth[at] + self.terms[at] + own
        })
    }

    /// Logarithm of the likelihood times the prior.
    fn evidence(&self, sizes: Sizes, data: &Residuals) -> f64 {
        let factor = self.factor(sizes, &data.counts);
        let mut white = data.means.clone();
        factor.forward(&mut white);
        let repeats = data.counts.iter().sum::<f64>() - data.counts.len() as f64;
        let log_noise = libm::log(sizes.noise);
        // Between points, then within each.
        -0.5 * (dot(&white, &white) + factor.log_determinant())
            - repeats * log_noise
            - 0.5 * data.within / sizes.noise.powi(2)
            + heavy(sizes.noise, self.priors.noise)
            + log_prior(sizes.residual, self.priors.residual)
    }

    /// For each noise the best residual size and its evidence.
    fn profile(&self, data: &Residuals) -> Vec<(f64, Sizes)> {
        NOISES
            .iter()
            .map(|&noise| {
                let mut best = (
                    f64::NEG_INFINITY,
                    Sizes {
                        residual: self.priors.residual.0,
                        noise,
                    },
                );
                for residual in RESIDUALS {
                    let sizes = Sizes { residual, noise };
                    let evidence = self.evidence(sizes, data);
                    if evidence > best.0 {
                        best = (evidence, sizes);
                    }
                }
                best
            })
            .collect()
    }
}

/// Both quantities.
pub fn infer2(
    kernel: &Kernel,
    shares: [&[Vec<f64>]; 2],
    data: [&Residuals; 2],
    priors: Priors,
) -> [Posterior; 2] {
    let parts: [Parts; 2] =
        std::array::from_fn(|k| Parts::new(kernel, shares[k], &data[k].points, priors));
    let profiles: [Vec<_>; 2] = std::array::from_fn(|k| parts[k].profile(data[k]));
    let mut best = (f64::NEG_INFINITY, [profiles[0][0].1, profiles[1][0].1]);
    for a in &profiles[0] {
        for b in &profiles[1] {
            let ratio = libm::log(a.1.noise / b.1.noise) / priors.couple;
            let evidence = a.0 + b.0 - 0.5 * ratio * ratio;
            if evidence > best.0 {
                best = (evidence, [a.1, b.1]);
            }
        }
    }
    std::array::from_fn(|k| {
        let factor = parts[k].factor(best.1[k], &data[k].counts);
        predict(kernel, shares[k], data[k], best.1[k], &factor, priors)
    })
}

fn predict(
    kernel: &Kernel,
    shares: &[Vec<f64>],
    data: &Residuals,
    sizes: Sizes,
    factor: &Cholesky,
    priors: Priors,
) -> Posterior {
    let term = priors.term;
    let rough = priors.rough * priors.rough;
    let len = kernel.coordinates.len();
    let amplitude = sizes.residual.powi(2);
    let mut white = data.means.clone();
    factor.forward(&mut white);
    let mut mean = vec![0.0; len];
    let mut variance = vec![amplitude + rough; len];
    for share in shares {
        for (variance, s) in variance.iter_mut().zip(share) {
            *variance += term * term * s * s;
        }
    }
    // Rows of L^-1 K, one measured point at a time over all points.
    let mut solved: Vec<Vec<f64>> = Vec::with_capacity(data.points.len());
    for (i, &point) in data.points.iter().enumerate() {
        let mut row: Vec<f64> = kernel.row(point).iter().map(|k| amplitude * k).collect();
        row[point] += rough;
        for share in shares {
            let weight = term * term * share[point];
            for (value, s) in row.iter_mut().zip(share) {
                *value += weight * s;
            }
        }
        let own = factor.row(i);
        for (l, other) in own.iter().zip(&solved) {
            for (value, o) in row.iter_mut().zip(other) {
                *value -= l * o;
            }
        }
        let scale = 1.0 / own[i];
        for ((value, mean), variance) in row.iter_mut().zip(&mut mean).zip(&mut variance) {
            *value *= scale;
            *mean += *value * white[i];
            *variance -= *value * *value;
        }
        solved.push(row);
    }
    let deviation = variance.iter().map(|v| v.max(1e-10).sqrt()).collect();
    Posterior {
        mean,
        deviation,
        sizes,
    }
}
