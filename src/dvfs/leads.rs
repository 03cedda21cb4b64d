//! How long a change takes from the wish until it is in effect, per axis and
//! direction: as measured beforehand, then as seen in the run.

use super::window::{Spread, Window};
use super::{AXES, Axis};

/// So many changes that were looked at closely outweigh what was known before.
const ENOUGH: usize = 16;
/// From then on every so-manieth is looked at closely.
const SAMPLE: u32 = 8;

/// Way of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a slower clock.
    Down,
    /// To a faster one.
    Up,
}

impl Way {
    /// From a level to another.
    #[must_use]
    pub fn between(from: u16, to: u16) -> Self {
        if to > from { Self::Up } else { Self::Down }
    }
}

/// Times of transitions.
#[derive(Clone, Debug)]
pub struct Leads {
    known: [[Spread; 2]; AXES],
    seen: [[Window; 2]; AXES],
    changes: [[u32; 2]; AXES],
    stage: bool,
}

impl Default for Leads {
    /// What others measured on an Orin Nano (arXiv 2606.16106): 1 ms for the
    /// cores, 5 to 10 ms for the GPU, 8 ms for the memory.
    fn default() -> Self {
        const MS: u64 = 1_000_000;
        let mut known = [[Spread::default(); 2]; AXES];
        known[Axis::Cpu.index()] = [Spread::exactly(MS); 2];
        known[Axis::Gpu.index()] = [Spread::of(7 * MS, 10 * MS); 2];
        known[Axis::Emc.index()] = [Spread::exactly(8 * MS); 2];
        Self {
            known,
            seen: Default::default(),
            changes: Default::default(),
            stage: true,
        }
    }
}

impl Leads {
    /// Nothing is issued ahead: what changes would be without staging.
    #[must_use]
    pub fn none() -> Self {
        Self {
            stage: false,
            ..Self::default()
        }
    }

    /// Takes a measured time instead of the assumed one.
    pub fn measured(&mut self, axis: usize, way: Way, time: Spread) {
        self.known[axis][way as usize] = time;
    }

    /// How long a change takes.
    #[must_use]
    pub fn time(&self, axis: usize, way: Way) -> Spread {
        let seen = self.seen[axis][way as usize].spread(ENOUGH);
        seen.unwrap_or(self.known[axis][way as usize])
    }

    /// How long before it is needed it is issued.
    #[must_use]
    pub fn lead(&self, axis: usize, way: Way) -> Spread {
        match self.stage {
            true => self.time(axis, way),
            false => Spread::default(),
        }
    }

    /// Whether the change that is being issued is to be looked at closely.
    pub fn wants(&mut self, axis: usize, way: Way) -> bool {
        let changes = &mut self.changes[axis][way as usize];
        *changes = changes.wrapping_add(1);
        self.seen[axis][way as usize].count() < ENOUGH || changes.is_multiple_of(SAMPLE)
    }

    /// A change that was looked at closely took this long.
    pub fn learn(&mut self, axis: usize, way: Way, ns: u64) {
        self.seen[axis][way as usize].add(ns);
    }
}
