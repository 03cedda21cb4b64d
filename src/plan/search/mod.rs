//! Where to measure next: search for the clock point of least energy per
//! inference within a latency cap.
//!
//! Guarantees: a method's next probe depends on its settings, its seed and the
//! history alone, so a search that was killed goes on from its history; no method
//! asks for more probes than its budget; none ever panics or loops, whatever the
//! history holds. No method is told how noisy the readings are.
//!
//! Not guaranteed: that the choice is the optimum. [`trial`](super::trial) says
//! how far off it is.
//!
//! A point that cannot be measured must leave the space
//! ([`Space::only`](super::Space::only)) and the search be made anew; its history
//! stays good, see [`Observation::point`].

pub mod descent;
pub mod exhaustive;
pub mod model;
pub mod random;
mod readings;

pub use descent::Descent;
pub use exhaustive::Exhaustive;
pub use model::Model;
pub use random::RandomSearch;
pub use readings::Readings;

use super::space::Space;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Place of the clock point in the [`Space`].
    pub point: usize,
    /// Measured latency, seconds, above 0.
    pub latency_s: f64,
    /// Measured energy, joules, above 0.
    pub energy_j: f64,
}

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Highest latency allowed, seconds; `None` for no cap.
    pub cap_s: Option<f64>,
    /// Probes that may be spent, repeated ones included.
    pub budget: usize,
}

impl Goal {
    /// The cap, infinite where there is none.
    #[must_use]
    pub fn cap(&self) -> f64 {
        self.cap_s.unwrap_or(f64::INFINITY)
    }
}

/// What a method wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Measure this point of the space, be it for the first time or again.
    Probe(usize),
    /// Nothing more.
    Done,
}

/// The answer of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Place of the clock point in the [`Space`].
    pub point: usize,
    /// Estimated latency, seconds.
    pub latency_s: f64,
    /// Estimated energy, joules.
    pub energy_j: f64,
    /// Whether the method believes that the cap is kept. Where no point that it
    /// knows does, the choice is the one that breaks it least.
    pub keeps_cap: bool,
}

/// A search method.
pub trait Search {
    /// The next probe, from all measurements so far, oldest first.
    fn next(&mut self, history: &[Observation]) -> Step;

    /// The answer from the measurements so far; `None` while there is none.
    fn choose(&mut self, history: &[Observation]) -> Option<Choice>;
}

/// The methods by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Coordinate descent: E4's algorithm 1.
    Descent,
    /// Random points: E4-R.
    Random,
    /// Every point once.
    Exhaustive,
    /// Physics-informed surrogate with a Gaussian process on its residual.
    Model,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 4] = [Self::Model, Self::Descent, Self::Random, Self::Exhaustive];

    /// The name in flags and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Descent => "cd",
            Self::Random => "random",
            Self::Exhaustive => "exhaustive",
            Self::Model => "model",
        }
    }

    /// The method of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// A search of this kind with its usual settings.
    #[must_use]
    pub fn start<'a>(self, space: &'a Space, goal: Goal, seed: u64) -> Box<dyn Search + 'a> {
        match self {
            Self::Descent => Box::new(Descent::new(space, goal, descent::Settings::default())),
            Self::Random => Box::new(RandomSearch::new(space, goal, seed)),
            Self::Exhaustive => Box::new(Exhaustive::new(space, goal)),
            Self::Model => Box::new(Model::new(space, goal, seed)),
        }
    }
}

/// Runs a search to its end over whatever measures points; returns all
/// measurements and the choice.
///
/// # Errors
/// The first error of `measure`.
pub fn run<E>(
    search: &mut dyn Search,
    mut measure: impl FnMut(usize) -> Result<Observation, E>,
) -> Result<(Vec<Observation>, Option<Choice>), E> {
    let mut history = Vec::new();
    while let Step::Probe(point) = search.next(&history) {
        history.push(measure(point)?);
    }
    let choice = search.choose(&history);
    Ok((history, choice))
}

#[cfg(test)]
mod tests;
