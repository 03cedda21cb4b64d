//! What physics leaves over: a Gaussian process on the logarithm of measured over
//! predicted values.
//!
//! Its covariance has three parts: a smooth residual (Matern 5/2 over the
//! logarithms of the relative clocks); the law's own coefficients, each of which
//! may be off by a factor (the shares of the terms); and what is peculiar to a
//! point. The size of the smooth residual and the noise of the readings are
//! estimated, for latency and energy together: from repeated readings and from the
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

impl Kernel {
    /// Over a space, for a residual that changes over `scales`.
    #[must_use]
    pub fn new(space: &Space, scales: [f64; 3]) -> Self {
        let at = |point| {
            let u = space.relative(point);
            std::array::from_fn(|k| 5.0_f64.sqrt() * libm::log(u[k]) / scales[k])
        };
        Self {
            coordinates: (0..space.len()).map(at).collect(),
            rows: BTreeMap::new(),
        }
    }

    /// Makes the rows of these points.
    pub fn prepare(&mut self, points: &[usize]) {
        let coordinates = &self.coordinates;
        for &point in points {
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

/// Matern 5/2 of coordinates scaled by sqrt(5).
fn matern(a: [f64; 3], b: [f64; 3]) -> f64 {
    let square: f64 = (0..3).map(|k| (a[k] - b[k]) * (a[k] - b[k])).sum();
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

/// Residual at every point: mean and deviation of the logarithm.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// Mean.
    pub mean: Vec<f64>,
    /// Deviation, noise left out.
    pub deviation: Vec<f64>,
    /// The sizes in use.
    pub sizes: Sizes,
}

/// Beliefs before any reading, as deviations of logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priors {
    /// Noise: median and spread of its logarithm (Student's t with 2 degrees of
    /// freedom, so that no noise at all stays thinkable).
    pub noise: (f64, f64),
    /// Size of the smooth residual: median and spread of its logarithm.
    pub residual: (f64, f64),
    /// Of a law's coefficient.
    pub term: f64,
    /// Of what is peculiar to a point and no noise.
    pub rough: f64,
    /// Spread of the logarithm of latency noise over energy noise.
    pub ratio: f64,
    /// Distances, in logarithms of the clocks, over which the residual changes.
    pub scales: [f64; 3],
}

impl Default for Priors {
    fn default() -> Self {
        Self {
            noise: (0.02, 1.0),
            residual: (0.08, 0.7),
            term: 1.2,
            rough: 0.005,
            ratio: 0.5,
            scales: [0.8, 0.6, 0.6],
        }
    }
}

const NOISES: [f64; 14] = [
    1e-5, 1e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.065, 0.09, 0.13,
];
const RESIDUALS: [f64; 7] = [0.012, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2];

impl Priors {
    /// Logarithm of the prior density, apart from a constant.
    fn log(&self, sizes: Sizes) -> f64 {
        let score = |value, (median, spread): (f64, f64)| libm::log(value / median) / spread;
        let noise = score(sizes.noise, self.noise);
        let residual = score(sizes.residual, self.residual);
        -1.5 * libm::log(1.0 + 0.5 * noise * noise) - 0.5 * residual * residual
    }
}

/// One quantity: its data, and covariances among the measured points.
struct Fit<'a> {
    kernel: &'a Kernel,
    shares: &'a [Vec<f64>],
    data: &'a Residuals,
    priors: Priors,
    smooth: Vec<f64>,
    terms: Vec<f64>,
}

impl<'a> Fit<'a> {
    fn new(
        kernel: &'a Kernel,
        shares: &'a [Vec<f64>],
        data: &'a Residuals,
        priors: Priors,
    ) -> Self {
        let n = data.points.len();
        let (mut smooth, mut terms) = (vec![0.0; n * n], vec![0.0; n * n]);
        for (i, &a) in data.points.iter().enumerate() {
            let row = kernel.row(a);
            for (j, &b) in data.points[..=i].iter().enumerate() {
                smooth[i * n + j] = row[b];
                let term: f64 = shares.iter().map(|s| s[a] * s[b]).sum();
                terms[i * n + j] = priors.term * priors.term * term;
            }
        }
        Self {
            kernel,
            shares,
            data,
            priors,
            smooth,
            terms,
        }
    }

    fn factor(&self, sizes: Sizes) -> Cholesky {
        let n = self.data.points.len();
        let amplitude = sizes.residual * sizes.residual;
        let (noise, rough) = (
            sizes.noise * sizes.noise,
            self.priors.rough * self.priors.rough,
        );
        Cholesky::new(n, 1e-12, |i, j| {
            let at = i * n + j;
            let own = if i == j {
                noise / self.data.counts[i] + rough
            } else {
                0.0
            };
            amplitude * self.smooth[at] + self.terms[at] + own
        })
    }

    /// Logarithm of the likelihood times the prior: of the points' means, then of
    /// the readings around them.
    fn evidence(&self, sizes: Sizes) -> f64 {
        let factor = self.factor(sizes);
        let mut white = self.data.means.clone();
        factor.forward(&mut white);
        let counts = &self.data.counts;
        #[expect(clippy::cast_precision_loss, reason = "few points")]
        let repeats = counts.iter().sum::<f64>() - counts.len() as f64;
        -0.5 * (dot(&white, &white) + factor.log_determinant())
            - repeats * libm::log(sizes.noise)
            - 0.5 * self.data.within / (sizes.noise * sizes.noise)
            + self.priors.log(sizes)
    }

    /// For each noise the likeliest residual size, with the evidence.
    fn profile(&self) -> Vec<(f64, Sizes)> {
        let best = |noise: f64| {
            let mut sizes = RESIDUALS.iter().map(|&residual| Sizes { residual, noise });
            let first = sizes.next().map(|s| (self.evidence(s), s));
            sizes.fold(first, |best, sizes| {
                let own = (self.evidence(sizes), sizes);
                best.map(|best| if own.0 > best.0 { own } else { best })
            })
        };
        NOISES.iter().filter_map(|noise| best(*noise)).collect()
    }

    /// Covariance of measured point number `i` with all points.
    fn row(&self, i: usize, sizes: Sizes) -> Vec<f64> {
        let point = self.data.points[i];
        let amplitude = sizes.residual * sizes.residual;
        let smooth = self.kernel.row(point).iter();
        let mut row: Vec<f64> = smooth.map(|k| amplitude * k).collect();
        row[point] += self.priors.rough * self.priors.rough;
        for share in self.shares {
            let weight = self.priors.term * self.priors.term * share[point];
            for (value, s) in row.iter_mut().zip(share) {
                *value += weight * s;
            }
        }
        row
    }

    fn prior_variance(&self, sizes: Sizes) -> Vec<f64> {
        let own = sizes.residual * sizes.residual + self.priors.rough * self.priors.rough;
        let mut variance = vec![own; self.kernel.coordinates.len()];
        for share in self.shares {
            for (variance, s) in variance.iter_mut().zip(share) {
                *variance += self.priors.term * self.priors.term * s * s;
            }
        }
        variance
    }

    fn posterior(&self, sizes: Sizes) -> Posterior {
        let factor = self.factor(sizes);
        let mut white = self.data.means.clone();
        factor.forward(&mut white);
        let mut variance = self.prior_variance(sizes);
        let mut mean = vec![0.0; variance.len()];
        // Rows of L^-1 K, one measured point at a time over all points.
        let mut solved: Vec<Vec<f64>> = Vec::with_capacity(white.len());
        for (i, white) in white.iter().enumerate() {
            let mut row = self.row(i, sizes);
            let own = factor.row(i);
            for (l, other) in own.iter().zip(&solved) {
                for (value, o) in row.iter_mut().zip(other) {
                    *value -= l * o;
                }
            }
            let scale = 1.0 / own[i];
            for ((value, mean), variance) in row.iter_mut().zip(&mut mean).zip(&mut variance) {
                *value *= scale;
                *mean += *value * white;
                *variance -= *value * *value;
            }
            solved.push(row);
        }
        Posterior {
            mean,
            deviation: variance.iter().map(|v| v.max(1e-10).sqrt()).collect(),
            sizes,
        }
    }
}

/// Estimates the sizes for latency and energy together, then both residuals
/// everywhere. `kernel` has the rows of the measured points; `shares` are those of
/// the laws' terms.
#[must_use]
pub fn infer(
    kernel: &Kernel,
    shares: [&[Vec<f64>]; 2],
    data: &[Residuals; 2],
    priors: Priors,
) -> [Posterior; 2] {
    let fits = [0, 1].map(|k| Fit::new(kernel, shares[k], &data[k], priors));
    let [latency, energy] = [fits[0].profile(), fits[1].profile()];
    let usual = Sizes {
        residual: priors.residual.0,
        noise: priors.noise.0,
    };
    let mut best = (f64::NEG_INFINITY, [usual; 2]);
    for l in &latency {
        for e in &energy {
            let ratio = libm::log(l.1.noise / e.1.noise) / priors.ratio;
            let evidence = l.0 + e.0 - 0.5 * ratio * ratio;
            if evidence > best.0 {
                best = (evidence, [l.1, e.1]);
            }
        }
    }
    [0, 1].map(|k| fits[k].posterior(best.1[k]))
}
