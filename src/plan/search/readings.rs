//! A history, gathered by clock point.

use super::{Choice, Goal, Observation};
use crate::plan::space::Space;

/// Measurements of each point that has any, in the order of the first one.
/// Observations that no search can use (a place outside the space, values that
/// are not above 0 or not finite) are left out.
#[derive(Clone, Debug)]
pub struct Readings {
    /// Points measured, in the order of their first measurement.
    pub points: Vec<usize>,
    /// Logarithms of latency (s) and energy (J) of each measurement, per point.
    pub logs: Vec<Vec<[f64; 2]>>,
    means: Vec<[f64; 2]>,
    place: Vec<Option<usize>>,
}

impl Readings {
    /// Gathers a history over a space.
    #[must_use]
    pub fn new(space: &Space, history: &[Observation]) -> Self {
        let mut readings = Self {
            points: Vec::new(),
            logs: Vec::new(),
            means: Vec::new(),
            place: vec![None; space.len()],
        };
        for observation in history {
            readings.add(observation);
        }
        for (logs, mean) in readings.logs.iter().zip(&mut readings.means) {
            #[expect(clippy::cast_precision_loss, reason = "few measurements")]
            let n = logs.len() as f64;
            *mean = mean.map(|sum| sum / n);
        }
        readings
    }

    fn add(&mut self, observation: &Observation) {
        let values = [observation.latency_s, observation.energy_j];
        let usable = |v: &f64| v.is_finite() && *v > 0.0;
        if observation.point >= self.place.len() || !values.iter().all(usable) {
            return;
        }
        let place = *self.place[observation.point].get_or_insert_with(|| {
            self.points.push(observation.point);
            self.logs.push(Vec::new());
            self.means.push([0.0; 2]);
            self.points.len() - 1
        });
        self.logs[place].push(values.map(libm::log));
        for (sum, value) in self.means[place].iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// Whether a point was measured.
    #[must_use]
    pub fn has(&self, point: usize) -> bool {
        self.place[point].is_some()
    }

    /// How often a point was measured.
    #[must_use]
    pub fn count(&self, point: usize) -> usize {
        self.place[point].map_or(0, |place| self.logs[place].len())
    }

    /// Mean latency (s) and energy (J) of a point.
    #[must_use]
    pub fn mean(&self, point: usize) -> Option<[f64; 2]> {
        self.place[point].map(|place| self.means[place])
    }

    /// Whether `a` is the better answer than `b`: within the cap before outside,
    /// then less energy within, less latency outside. A point that was not
    /// measured is never better.
    #[must_use]
    pub fn better(&self, a: usize, b: usize, cap: f64) -> bool {
        let score = |point| {
            let [latency, energy] = self.mean(point).unwrap_or([f64::INFINITY; 2]);
            match latency <= cap && energy.is_finite() {
                true => (0, energy),
                false => (1, latency),
            }
        };
        score(a) < score(b)
    }

    /// The best point by its mean alone.
    #[must_use]
    pub fn best(&self, goal: Goal) -> Option<Choice> {
        let cap = goal.cap();
        let best = self.points.iter().copied().reduce(|best, point| {
            match self.better(point, best, cap) {
                true => point,
                false => best,
            }
        })?;
        let [latency_s, energy_j] = self.mean(best)?;
        Some(Choice {
            point: best,
            latency_s,
            energy_j,
            keeps_cap: latency_s <= cap,
        })
    }
}
