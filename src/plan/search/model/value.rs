//! What the next reading is worth.
//!
//! The leader is the measured point of least believed energy among those whose
//! believed latency stays below the cap by a [`Margin`]. A reading of a point is worth
//! the expected lowering of the leader's energy by it (knowledge gradient, points
//! taken as independent), times the probability that the point keeps the cap and
//! its margin once it was read. Without noise that is expected improvement times
//! the probability of keeping the cap.

use super::belief::Belief;
use crate::plan::search::Readings;

/// The best measured point so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leader {
    /// Its place.
    pub point: usize,
    /// Whether it keeps the cap by the margin; otherwise no measured point does
    /// and this is the quickest.
    pub eligible: bool,
    /// Believed logarithm of the energy of the second best, infinite if there is
    /// none.
    second: f64,
}

/// How safely a choice keeps the cap: its believed latency is at most the cap, and
/// at most `deviations` deviations more are at most `tolerance` beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Deviations of the believed latency.
    pub deviations: f64,
    /// Excess over the cap that is harmless, as a fraction.
    pub tolerance: f64,
}

impl Default for Margin {
    fn default() -> Self {
        Self {
            deviations: 1.1,
            tolerance: 0.01,
        }
    }
}

impl Margin {
    /// What the logarithm of the latency must stay below the cap's.
    fn at(self, deviation: f64) -> f64 {
        (self.deviations * deviation - self.tolerance).max(0.0)
    }
}

/// Less than this, in logarithms of energy, is not worth a probe.
const WORTH: f64 = 1e-8;
const TINY: f64 = 1e-9;

/// The leader; `None` where nothing was measured.
pub fn leader(belief: &Belief, readings: &Readings, cap_s: f64, margin: Margin) -> Option<Leader> {
    let cap = libm::log(cap_s);
    let (latency, energy) = (&belief.latency, &belief.energy);
    let mut leader: Option<Leader> = None;
    for &point in &readings.points {
        if latency.mean[point] + margin.at(latency.deviation[point]) > cap {
            continue;
        }
        let own = energy.mean[point];
        let (best, second) = match leader {
            Some(l) if energy.mean[l.point] <= own => (l.point, l.second.min(own)),
            Some(l) => (point, energy.mean[l.point]),
            None => (point, f64::INFINITY),
        };
        leader = Some(Leader {
            point: best,
            eligible: true,
            second,
        });
    }
    let quickest = || {
        let points = readings.points.iter().copied();
        points.min_by(|a, b| latency.mean[*a].total_cmp(&latency.mean[*b]))
    };
    leader.or_else(|| {
        quickest().map(|point| Leader {
            point,
            eligible: false,
            second: f64::INFINITY,
        })
    })
}

/// The point whose reading is worth most; `None` where none is worth anything.
pub fn best(belief: &Belief, readings: &Readings, cap_s: f64, margin: Margin) -> Option<usize> {
    let cap = libm::log(cap_s);
    let leader = leader(belief, readings, cap_s, margin)?;
    let (latency, energy) = (&belief.latency, &belief.energy);
    // With no eligible point, anything below the dearest reading is a gain.
    let base = match leader.eligible {
        true => energy.mean[leader.point],
        false => {
            let costs = readings.points.iter().map(|p| energy.mean[*p]);
            costs.fold(f64::NEG_INFINITY, f64::max)
        }
    };
    let mut best = (WORTH, None);
    for point in 0..energy.mean.len() {
        let other = match leader.eligible && point == leader.point {
            true => leader.second,
            false => energy.mean[point],
        };
        let gain = expected_gain(base - other, shift(energy.deviation[point], energy.noise));
        let moved = shift(latency.deviation[point], latency.noise);
        let left = (latency.deviation[point] * latency.deviation[point] - moved * moved).max(0.0);
        let room = cap - latency.mean[point] - margin.at(left.sqrt());
        let worth = gain * cdf(room / moved.max(TINY));
        if worth > best.0 {
            best = (worth, Some(point));
        }
    }
    best.1
}

/// Deviation by which one reading is expected to move a believed mean.
fn shift(deviation: f64, noise: f64) -> f64 {
    let variance = deviation * deviation;
    variance / (variance + noise * noise).sqrt().max(TINY)
}

/// Expected value of max(0, z) for z normal with this mean and deviation.
fn expected_gain(mean: f64, deviation: f64) -> f64 {
    if mean == f64::NEG_INFINITY {
        return 0.0;
    }
    let deviation = deviation.max(TINY);
    let u = mean / deviation;
    let density = libm::exp(-0.5 * u * u) * 0.398_942_280_401_432_7;
    deviation * (u * cdf(u) + density)
}

/// Cumulative distribution of the standard normal.
fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}
