//! Coordinate descent: E4's algorithm 1.
//!
//! From all clocks at their highest, the axes are taken in turn: GPU, EMC, CPU.
//! On an axis, evenly spaced candidates around the incumbent are measured, the
//! others held; the best reading becomes the incumbent. Each round halves the
//! width of the candidates' span. A point is measured once.

use super::{Choice, Goal, Observation, Readings, Search, Step};
use crate::plan::point::Axis;
use crate::plan::space::Space;

/// How coordinate descent goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Candidates on an axis in a round, at least 2.
    pub candidates: usize,
    /// Rounds over all axes.
    pub rounds: usize,
    /// Axes in the order in which they are searched.
    pub order: [Axis; 3],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            candidates: 5,
            rounds: 4,
            order: [Axis::Gpu, Axis::Emc, Axis::Cpu],
        }
    }
}

/// Coordinate descent.
#[derive(Debug)]
pub struct Descent<'a> {
    space: &'a Space,
    goal: Goal,
    settings: Settings,
    top: usize,
}

impl<'a> Descent<'a> {
    /// Over a space.
    #[must_use]
    pub fn new(space: &'a Space, goal: Goal, settings: Settings) -> Self {
        Self {
            space,
            goal,
            settings,
            top: space.top(),
        }
    }

    /// Follows the algorithm over what was measured, up to the first point that
    /// was not.
    fn wanted(&self, readings: &Readings) -> Option<usize> {
        if !readings.has(self.top) {
            return Some(self.top);
        }
        let mut incumbent = self.top;
        let mut width = 1.0;
        for _ in 0..self.settings.rounds {
            for axis in self.settings.order {
                let line = self.candidates(incumbent, axis, width);
                if let Some(point) = line.iter().find(|p| !readings.has(**p)) {
                    return Some(*point);
                }
                incumbent = self.best_on_line(incumbent, axis, readings);
            }
            width /= 2.0;
        }
        None
    }

    /// Candidates on an axis, the highest clock first; levels where the space has
    /// a hole are left out.
    fn candidates(&self, incumbent: usize, axis: Axis, width: f64) -> Vec<usize> {
        let cell = self.space.cell(incumbent);
        let k = axis.index();
        let last = self.space.levels(axis).len() - 1;
        let count = self.settings.candidates.max(2);
        let mut levels: Vec<usize> = spread(cell[k], last, width, count).collect();
        levels.dedup();
        let point = |level: usize| {
            let mut cell = cell;
            cell[k] = level;
            self.space.at(cell)
        };
        levels.into_iter().filter_map(point).collect()
    }

    fn best_on_line(&self, incumbent: usize, axis: Axis, readings: &Readings) -> usize {
        let k = axis.index();
        let mut cell = self.space.cell(incumbent);
        let mut best = incumbent;
        for level in 0..self.space.levels(axis).len() {
            cell[k] = level;
            match self.space.at(cell) {
                Some(point) if readings.better(point, best, self.goal.cap()) => best = point,
                _ => {}
            }
        }
        best
    }
}

/// `count` levels from high to low, evenly over `width` of `0..=last`, around
/// `middle` but inside.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "levels are few, and clamped to 0..=last"
)]
fn spread(middle: usize, last: usize, width: f64, count: usize) -> impl Iterator<Item = usize> {
    let (middle, end) = (middle as f64, last as f64);
    let half = end * width / 2.0;
    let low = (middle - half).min(end - 2.0 * half).max(0.0);
    let high = (low + 2.0 * half).min(end);
    (0..count).rev().map(move |i| {
        let share = i as f64 / (count - 1) as f64;
        (low + (high - low) * share).round_ties_even() as usize
    })
}

impl Search for Descent<'_> {
    fn next(&mut self, history: &[Observation]) -> Step {
        if history.len() >= self.goal.budget {
            return Step::Done;
        }
        match self.wanted(&Readings::new(self.space, history)) {
            Some(point) => Step::Probe(point),
            None => Step::Done,
        }
    }

    fn choose(&mut self, history: &[Observation]) -> Option<Choice> {
        Readings::new(self.space, history).best(self.goal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_span_the_axis_and_then_zoom() {
        let levels = |middle, width| spread(middle, 12, width, 5).collect::<Vec<_>>();
        assert_eq!(levels(12, 1.0), [12, 9, 6, 3, 0]);
        assert_eq!(levels(12, 0.5), [12, 10, 9, 8, 6]);
        assert_eq!(levels(1, 0.25), [3, 2, 2, 1, 0]);
        assert_eq!(spread(0, 0, 1.0, 5).collect::<Vec<_>>(), [0; 5]);
    }
}
