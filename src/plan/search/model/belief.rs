//! What the readings say about every point of a space.

use super::physics::{Datum, Law, Physics};
use super::residual::{self, Kernel, Priors, Residuals};
use crate::plan::search::Readings;
use crate::plan::space::Space;

/// Belief about one quantity, in natural logarithms.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// Mean at each point.
    pub mean: Vec<f64>,
    /// Deviation of the mean at each point; the readings' noise is not in it.
    pub deviation: Vec<f64>,
    /// Estimated deviation of a single reading.
    pub noise: f64,
}

/// Belief about latency (s) and energy (J).
#[derive(Clone, Debug)]
pub struct Belief {
    /// Latency.
    pub latency: Quantity,
    /// Energy.
    pub energy: Quantity,
}

/// Makes beliefs over one space.
#[derive(Debug)]
pub struct Believer {
    physics: Physics,
    kernel: Kernel,
    priors: Priors,
}

impl Believer {
    /// Over a space.
    pub fn new(space: &Space, priors: Priors) -> Self {
        Self {
            physics: Physics::new(space),
            kernel: Kernel::new(space, priors.scales),
            priors,
        }
    }

    /// The belief after at least one reading.
    pub fn believe(&mut self, readings: &Readings) -> Belief {
        self.kernel.prepare(&readings.points);
        let latency = self.physics.latency(&data(readings, 0));
        let energy = self.physics.energy(&data(readings, 1), &latency.values);
        let rests = [rest(readings, &latency, 0), rest(readings, &energy, 1)];
        let laws = [&latency.shares[..], &energy.shares[..]];
        let [l, e] = residual::infer(&self.kernel, laws, &rests, self.priors);
        Belief {
            latency: quantity(&latency, l),
            energy: quantity(&energy, e),
        }
    }
}

fn quantity(law: &Law, posterior: residual::Posterior) -> Quantity {
    let pairs = law.values.iter().zip(&posterior.mean);
    Quantity {
        mean: pairs
            .map(|(value, rest)| libm::log(*value) + rest)
            .collect(),
        deviation: posterior.deviation,
        noise: posterior.sizes.noise,
    }
}

/// Means of quantity `k`, weighted by their readings and, so that the law fits
/// best where it matters, by how little energy they took.
fn data(readings: &Readings, k: usize) -> Vec<Datum> {
    let means = readings.points.iter().filter_map(|p| readings.mean(*p));
    let least = means.map(|m| m[1]).fold(f64::INFINITY, f64::min);
    let datum = |&point: &usize| {
        let mean = readings.mean(point)?;
        #[expect(clippy::cast_precision_loss, reason = "few readings")]
        let count = readings.count(point) as f64;
        Some(Datum {
            point,
            value: mean[k],
            weight: count.sqrt() * (least / mean[1]),
        })
    };
    readings.points.iter().filter_map(datum).collect()
}

/// What the law leaves over of quantity `k`.
fn rest(readings: &Readings, law: &Law, k: usize) -> Residuals {
    let mut rest = Residuals {
        points: readings.points.clone(),
        ..Residuals::default()
    };
    for (point, logs) in readings.points.iter().zip(&readings.logs) {
        #[expect(clippy::cast_precision_loss, reason = "few readings")]
        let count = logs.len() as f64;
        let mean = logs.iter().map(|log| log[k]).sum::<f64>() / count;
        let around = logs.iter().map(|log| log[k] - mean);
        rest.within += around.map(|v| v * v).sum::<f64>();
        rest.means.push(mean - libm::log(law.values[*point]));
        rest.counts.push(count);
    }
    rest
}
