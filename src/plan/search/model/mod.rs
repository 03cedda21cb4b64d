//! Model-based search: physics, what physics leaves over, and the value of the
//! next reading.
//!
//! After some first points, every reading refits a [`Belief`]: a few-term law of
//! latency and energy ([`physics`]), a small Gaussian process on its residual and
//! the readings' own noise ([`residual`]). The next probe is the one that is
//! worth most ([`value`]), be it a new point or a candidate once more; the answer
//! is the best measured point by belief, not the luckiest reading.
//!
//! Cost: a few milliseconds a probe for 2,500 points and 32 probes; quadratic in
//! the probes, linear in the points. Beyond [`MOST`] readings only the latest
//! count, and no more are asked for.
//!
//! Not guaranteed: anything where neighbouring clock points have nothing to do
//! with one another.

mod belief;
pub mod linalg;
pub mod physics;
pub mod residual;
pub mod value;

pub use belief::Belief;

use super::{Choice, Goal, Observation, Readings, Search, Step};
use crate::plan::random::Random;
use crate::plan::space::Space;
use belief::Believer;

/// Readings that are taken into account, and that are asked for at most.
pub const MOST: usize = 96;

/// Knobs. The defaults were weighed on random synthetic boards and on five recorded
/// grids; they are no optimum of either.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Largest shift of a first point's relative clocks, by the seed.
    pub jitter: f64,
    /// How safely a choice keeps the cap.
    pub margin: value::Margin,
    /// What is believed before any reading.
    pub priors: residual::Priors,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jitter: 0.05,
            margin: value::Margin::default(),
            priors: residual::Priors::default(),
        }
    }
}

/// First points, as clocks over the highest: CPU, GPU, EMC. All clocks at their
/// highest, then inside of the space, all clocks changed at once.
const DESIGN: [[f64; 3]; 8] = [
    [1.0, 1.0, 1.0],
    [0.4, 0.7, 0.7],
    [1.0, 0.6, 0.7],
    [0.5, 1.0, 0.65],
    [0.7, 0.85, 1.0],
    [0.5, 0.6, 0.9],
    [0.75, 0.75, 0.6],
    [0.4, 0.9, 0.8],
];

const STREAM: u64 = 0x4D6F_6465;

/// Model-based search.
#[derive(Debug)]
pub struct Model<'a> {
    space: &'a Space,
    goal: Goal,
    settings: Settings,
    design: Vec<usize>,
    believer: Believer,
}

impl<'a> Model<'a> {
    /// Over a space; `seed` shifts the first points.
    #[must_use]
    pub fn new(space: &'a Space, goal: Goal, seed: u64) -> Self {
        Self::with(space, goal, seed, Settings::default())
    }

    /// With other settings than the usual ones.
    #[must_use]
    pub fn with(space: &'a Space, goal: Goal, seed: u64, settings: Settings) -> Self {
        Self {
            space,
            goal,
            settings,
            design: design(space, seed, settings.jitter),
            believer: Believer::new(space, settings.priors),
        }
    }

    /// What the readings say about every point; `None` while there is none.
    pub fn believe(&mut self, history: &[Observation]) -> Option<Belief> {
        let readings = self.readings(history);
        self.belief(&readings)
    }

    fn readings(&self, history: &[Observation]) -> Readings {
        let latest = history.len().saturating_sub(MOST);
        Readings::new(self.space, &history[latest..])
    }

    fn belief(&mut self, readings: &Readings) -> Option<Belief> {
        let some = !readings.points.is_empty();
        some.then(|| self.believer.believe(readings))
    }

    /// What is asked for before there is a belief worth having: the first points,
    /// then the very first of them again, which says how noisy readings are.
    fn first(&self, readings: &Readings) -> Option<usize> {
        let top = self.design.first().copied();
        let mut points = self.design.iter().copied();
        let fresh = points.find(|point| !readings.has(*point));
        fresh.or(top.filter(|point| readings.count(*point) < 2))
    }
}

/// The first points, without repetition.
fn design(space: &Space, seed: u64, jitter: f64) -> Vec<usize> {
    let mut random = Random::new(seed, STREAM);
    let mut points = vec![space.top()];
    for wish in &DESIGN[1..] {
        let shift = |u: f64| (u + jitter * (2.0 * random.uniform() - 1.0)).min(1.0);
        let point = space.nearest(wish.map(shift));
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

impl Search for Model<'_> {
    fn next(&mut self, history: &[Observation]) -> Step {
        if history.len() >= self.goal.budget.min(MOST) {
            return Step::Done;
        }
        let readings = self.readings(history);
        let first = self.first(&readings);
        let wanted = first.or_else(|| {
            let belief = self.belief(&readings)?;
            value::best(&belief, &readings, self.goal.cap(), self.settings.margin)
        });
        wanted.map_or(Step::Done, Step::Probe)
    }

    fn choose(&mut self, history: &[Observation]) -> Option<Choice> {
        let readings = self.readings(history);
        let belief = self.belief(&readings)?;
        let cap = self.goal.cap();
        let leader = value::leader(&belief, &readings, cap, self.settings.margin)?;
        let latency_s = libm::exp(belief.latency.mean[leader.point]);
        Some(Choice {
            point: leader.point,
            latency_s,
            energy_j: libm::exp(belief.energy.mean[leader.point]),
            keeps_cap: latency_s <= cap,
        })
    }
}
