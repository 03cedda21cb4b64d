//! Every point once, in the order of the space, as far as the budget goes; then
//! the best reading. What a search without an idea costs.

use super::{Choice, Goal, Observation, Readings, Search, Step};
use crate::plan::space::Space;

/// Exhaustive search.
#[derive(Debug)]
pub struct Exhaustive<'a> {
    space: &'a Space,
    goal: Goal,
}

impl<'a> Exhaustive<'a> {
    /// Over a space.
    #[must_use]
    pub fn new(space: &'a Space, goal: Goal) -> Self {
        Self { space, goal }
    }
}

impl Search for Exhaustive<'_> {
    fn next(&mut self, history: &[Observation]) -> Step {
        // Probes come in the space's order, so the history's length says where.
        match history.len() < self.space.len().min(self.goal.budget) {
            true => Step::Probe(history.len()),
            false => Step::Done,
        }
    }

    fn choose(&mut self, history: &[Observation]) -> Option<Choice> {
        Readings::new(self.space, history).best(self.goal)
    }
}
