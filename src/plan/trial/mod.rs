//! How well a search does on a recorded grid: noisy probes, the choice, its true
//! gap to the optimum, whether it kept the cap.
//!
//! Guarantees: deterministic by seed; a method sees the probes' noisy readings
//! and nothing else.

pub mod chart;
pub mod compare;
pub mod stats;

use super::grid::Grid;
use super::random::Random;
use super::search::{self, Choice, Goal, Method, Observation, Search};
use super::space::Space;
use std::convert::Infallible;

/// Latency over the cap by at most this factor still counts as kept.
pub const CAP_TOLERANCE: f64 = 1.01;

/// One search on one grid.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// Truth, over all points.
    pub grid: &'a Grid,
    /// Points that may be chosen: a part of the grid's space, and the place of
    /// each in the grid.
    pub allowed: &'a (Vec<usize>, Space),
    /// Cap and budget.
    pub goal: Goal,
    /// Relative deviation of a reading.
    pub sigma: f64,
    /// Seed of noise and method.
    pub seed: u64,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Readings in order; places are those of the allowed space.
    pub history: Vec<Observation>,
    /// The answer.
    pub choice: Option<Choice>,
    /// Place of the answer in the grid.
    pub point: Option<usize>,
    /// True energy of the choice over that of the true optimum, minus 1; below 0
    /// only for a choice beyond the cap. `None` where no point keeps the cap.
    pub gap: Option<f64>,
    /// Whether the choice's true latency is within 1 % of the cap.
    pub cap_kept: bool,
}

impl Trial<'_> {
    /// Runs a method with its usual settings.
    #[must_use]
    pub fn run(&self, method: Method) -> Outcome {
        let mut search = method.start(&self.allowed.1, self.goal, self.seed);
        self.run_search(search.as_mut())
    }

    /// Runs a search that was made for the allowed space, the goal and the seed.
    #[must_use]
    pub fn run_search(&self, search: &mut dyn Search) -> Outcome {
        let mut noise = Random::new(self.seed, NOISE);
        let measure = |point: usize| {
            let [latency, energy] = self.grid.costs[self.allowed.0[point]];
            let mut factor = || (1.0 + self.sigma * noise.normal()).max(0.5);
            Ok::<_, Infallible>(Observation {
                point,
                latency_s: latency * factor(),
                energy_j: energy * factor(),
            })
        };
        let Ok((history, choice)) = search::run(search, measure);
        self.judge(history, choice)
    }

    /// Least energy among allowed points that keep the cap.
    #[must_use]
    pub fn optimum(&self) -> Option<usize> {
        let costs = &self.grid.costs;
        let allowed = self.allowed.0.iter().copied();
        let within = allowed.filter(|p| costs[*p][0] <= self.goal.cap());
        within.min_by(|a, b| costs[*a][1].total_cmp(&costs[*b][1]))
    }

    fn judge(&self, history: Vec<Observation>, choice: Option<Choice>) -> Outcome {
        let optimum = self.optimum();
        // Where the truth has no answer, no answer is the right one.
        let choice = choice.filter(|_| optimum.is_some());
        let point = choice.map(|choice| self.allowed.0[choice.point]);
        let costs = &self.grid.costs;
        let gap = |(point, optimum): (usize, usize)| costs[point][1] / costs[optimum][1] - 1.0;
        Outcome {
            history,
            choice,
            point,
            gap: point.zip(optimum).map(gap),
            cap_kept: point.is_some_and(|p| costs[p][0] <= CAP_TOLERANCE * self.goal.cap()),
        }
    }
}

const NOISE: u64 = 0x4E_6F69_7365;
