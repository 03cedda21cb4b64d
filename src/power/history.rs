//! The latest marks, and figures between any two moments that they cover.
//!
//! Guarantees: a fixed number of marks, allocated at the start; a stretch that is
//! shorter than the window, not covered yet, covered no more or holed has no figure.
//! Costs two binary searches a figure.

use super::figure::{End, Figure, Mark};
use super::sensor::Window;
use std::collections::VecDeque;

/// Marks of the recent past.
#[derive(Clone, Debug)]
pub struct History {
    marks: VecDeque<Mark>,
    capacity: usize,
    span_ns: u64,
    margin_ns: u64,
    accuracy: f64,
}

/// A moment that was looked up while the marks around it were still there.
#[derive(Clone, Copy, Debug)]
pub struct Moment(End);

impl History {
    /// Room for `capacity` marks of a sensor with this window and calibration error.
    #[must_use]
    pub fn new(capacity: usize, window: &Window, accuracy: f64) -> Self {
        let capacity = capacity.max(2);
        Self {
            marks: VecDeque::with_capacity(capacity),
            capacity,
            span_ns: window.span_ns(),
            margin_ns: 2 * window.half_age_ns(),
            accuracy,
        }
    }

    /// Adds the next mark; the oldest makes room.
    pub fn push(&mut self, mark: Mark) {
        if self.marks.len() == self.capacity {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
    }

    #[cfg(test)]
    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// The latest moment that is covered.
    #[must_use]
    pub fn until_ns(&self) -> Option<u64> {
        self.marks.back().map(|mark| mark.at_ns)
    }

    /// The earliest.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.marks.front().map(|mark| mark.at_ns)
    }

    /// When everything that bears on the energy up to `at_ns` is known.
    #[must_use]
    pub fn is_settled(&self, at_ns: u64) -> bool {
        let needed = at_ns.saturating_add(self.margin_ns);
        self.until_ns().is_some_and(|until| until >= needed)
    }

    /// Whether a stretch of this length is shorter than the window.
    #[must_use]
    pub fn is_too_short(&self, length_ns: u64) -> bool {
        length_ns < self.span_ns
    }

    /// The energy at `at_ns`, for stretches to begin or end with. `None` where it is
    /// not covered.
    #[must_use]
    pub fn moment(&self, at_ns: u64) -> Option<Moment> {
        let right = self.marks.partition_point(|mark| mark.at_ns < at_ns).max(1);
        let (left_mark, right_mark) = (self.marks.get(right - 1)?, self.marks.get(right)?);
        if at_ns < left_mark.at_ns {
            return None;
        }
        let early = at_ns.saturating_sub(self.margin_ns);
        let before = self.marks.partition_point(|mark| mark.at_ns <= early);
        let before = self
            .marks
            .get(before.saturating_sub(1))
            .unwrap_or(left_mark);
        let late = at_ns.saturating_add(self.margin_ns);
        let after = self.marks.partition_point(|mark| mark.at_ns < late);
        let after = self.marks.get(after).or(self.marks.back())?;
        let next = self.marks.get(right + 1).unwrap_or(right_mark);
        let around = [left_mark, right_mark, next];
        Some(Moment(End::between(around, at_ns, *before, *after)))
    }

    /// The energy from one moment to another. `None` where the stretch is shorter
    /// than the window.
    #[must_use]
    pub fn figure(&self, from: &Moment, to: &Moment) -> Option<Figure> {
        let length_ns = to.0.at_ns.checked_sub(from.0.at_ns)?;
        let figure = from.0.to(&to.0, self.accuracy);
        let measured = figure.seconds > 0.0 && figure.seconds >= self.span_ns as f64 / 1e9;
        (!self.is_too_short(length_ns) && measured).then_some(figure)
    }

    /// The energy of a stretch all of which was measured.
    #[must_use]
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Option<Figure> {
        let figure = self.figure(&self.moment(from_ns)?, &self.moment(to_ns)?)?;
        (figure.missed_seconds <= 0.0).then_some(figure)
    }
}
