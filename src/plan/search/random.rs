//! Random search (E4-R): all clocks at their highest first, then points drawn
//! without repetition; the best reading is the answer.

use super::{Choice, Goal, Observation, Readings, Search, Step};
use crate::plan::random::Random;
use crate::plan::space::Space;

/// Random search.
#[derive(Debug)]
pub struct RandomSearch<'a> {
    space: &'a Space,
    goal: Goal,
    order: Vec<usize>,
}

impl<'a> RandomSearch<'a> {
    /// Over a space, in an order that `seed` determines.
    #[must_use]
    pub fn new(space: &'a Space, goal: Goal, seed: u64) -> Self {
        let top = space.top();
        let rest = Random::new(seed, STREAM).permutation(space.len());
        let order = std::iter::once(top)
            .chain(rest.into_iter().filter(|p| *p != top))
            .take(goal.budget)
            .collect();
        Self { space, goal, order }
    }
}

const STREAM: u64 = 0x5261_6E64;

impl Search for RandomSearch<'_> {
    fn next(&mut self, history: &[Observation]) -> Step {
        match self.order.get(history.len()) {
            Some(&point) => Step::Probe(point),
            None => Step::Done,
        }
    }

    fn choose(&mut self, history: &[Observation]) -> Option<Choice> {
        Readings::new(self.space, history).best(self.goal)
    }
}
