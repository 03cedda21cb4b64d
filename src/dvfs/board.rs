//! The seam to the clocks: what the controller asks of a board, real or simulated.

use super::AXES;
use crate::clocks::{Limiter, Refusal};
use std::fmt::Debug;

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The hardware runs at it.
    InEffect,
    /// It is on its way.
    Pending,
    /// The clock is, or will be, another one.
    Clamped {
        /// Which, as a place in the axis's table.
        level: usize,
        /// Because of whom.
        by: Limiter,
    },
    /// It was not taken.
    Refused(Refusal),
    /// It was taken; the hardware does not show its clock.
    Unverified,
}

/// An answer, and when it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the wish.
    pub state: State,
    /// When that was known ([`crate::monotonic`], or a simulation's time).
    pub at_ns: u64,
}

/// Clocks that can be set by axis (CPU, GPU, memory) and level, which is a place
/// in the axis's table of rising clocks.
///
/// All but [`levels`](Self::levels) are called on a real-time thread and allocate
/// nothing.
pub trait Board: Send + Debug {
    /// Clocks of an axis in kHz, rising; empty where the board has no such axis.
    fn levels(&self, axis: usize) -> &[u32];

    /// Asks for a level.
    fn set(&mut self, axis: usize, level: usize, now_ns: u64) -> Answer;

    /// Looks what became of the last wish.
    fn check(&mut self, axis: usize, now_ns: u64) -> Answer;

    /// The highest level that others allow now.
    fn allowed(&mut self, axis: usize) -> usize;

    /// Who keeps an axis below its highest level now.
    fn limiter(&mut self, axis: usize) -> Option<Limiter> {
        let _ = axis;
        None
    }

    /// The clock now in kHz, and whether it is the hardware's own; otherwise it is
    /// what was asked for last, by whomever.
    fn read(&mut self, axis: usize) -> Option<(u32, bool)>;
}

/// The tables of a board.
#[must_use]
pub fn tables(board: &dyn Board) -> [Vec<u32>; AXES] {
    std::array::from_fn(|axis| board.levels(axis).to_vec())
}
