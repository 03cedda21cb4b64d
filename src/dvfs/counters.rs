//! What the controller has done, and the clocks as they stand: written by its
//! thread alone, read by any.
//!
//! Costs a relaxed store each; no figure is read back to decide on.

use super::AXES;
use crate::clocks::{Limiter, Refusal};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::telemetry::{DvfsSummary, FrameClocks};

/// A count with one writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.more(1);
    }

    /// So many more.
    pub fn more(&self, n: u64) {
        let sum = self.0.load(Relaxed).wrapping_add(n);
        self.0.store(sum, Relaxed);
    }

    fn at_least(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).max(n), Relaxed);
    }

    /// So far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts of changes that segments asked for: each is one of staged, late, at its
/// start, or folded.
#[derive(Debug, Default)]
pub struct Counters {
    /// In effect as their segment started.
    pub staged: Count,
    /// Issued, but not in effect by then.
    pub late: Count,
    late_total_ns: Count,
    late_max_ns: Count,
    /// Issued as the segment started, as planned.
    pub at_start: Count,
    /// Not issued: they would not have been in effect in time.
    pub folded: Count,
    /// In effect ahead of a segment that the frame did not get to.
    pub in_vain: Count,
    /// Trips to the idle point.
    pub idle: Count,
    /// The clock is held below what was asked for.
    pub clamped: Count,
    /// The kernel did not take a wish.
    pub refused: Count,
    /// Events that found no room.
    pub lost: Count,
    /// Plans that took another's place.
    pub plans: Count,
    asked: [AtomicU32; AXES],
    in_effect: [AtomicU32; AXES],
    allowed: [AtomicU32; AXES],
    present: AtomicU32,
}

impl Counters {
    /// A change was in effect this long after its segment had started.
    pub fn late_by(&self, ns: u64) {
        self.late.add();
        self.late_total_ns.more(ns);
        self.late_max_ns.at_least(ns);
    }

    /// The board has these axes.
    pub fn has(&self, axes: [bool; AXES]) {
        let bits = (0..AXES).filter(|&axis| axes[axis]);
        self.present
            .store(bits.fold(0, |bits, axis| bits | 1 << axis), Relaxed);
    }

    /// The clocks of an axis in kHz: asked for, and in effect where that is known.
    pub fn shows(&self, axis: usize, asked: Option<u32>, in_effect: Option<u32>) {
        self.asked[axis].store(asked.unwrap_or(0), Relaxed);
        self.in_effect[axis].store(in_effect.unwrap_or(0), Relaxed);
    }

    /// The highest clock of an axis that others allow, kHz.
    pub fn allows(&self, axis: usize, khz: u32) {
        self.allowed[axis].store(khz, Relaxed);
    }

    /// The highest clocks that others allow, kHz; 0 where that is not known.
    #[must_use]
    pub fn allowed(&self) -> [u32; AXES] {
        std::array::from_fn(|axis| self.allowed[axis].load(Relaxed))
    }

    /// The clocks as they stand.
    #[must_use]
    pub fn clocks(&self) -> FrameClocks {
        FrameClocks {
            present: self.present.load(Relaxed),
            asked_khz: std::array::from_fn(|axis| self.asked[axis].load(Relaxed)),
            in_effect_khz: std::array::from_fn(|axis| self.in_effect[axis].load(Relaxed)),
        }
    }

    /// All counts.
    #[must_use]
    pub fn summary(&self, mode: &str) -> DvfsSummary {
        let late = self.late.get();
        let us = |ns: u64| ns as f64 / 1e3;
        DvfsSummary {
            mode: mode.to_owned(),
            staged: self.staged.get(),
            late,
            late_mean_us: (late > 0).then(|| us(self.late_total_ns.get()) / late as f64),
            late_max_us: (late > 0).then(|| us(self.late_max_ns.get())),
            at_start: self.at_start.get(),
            folded: self.folded.get(),
            in_vain: self.in_vain.get(),
            idle: self.idle.get(),
            clamped: self.clamped.get(),
            refused: self.refused.get(),
            lost_events: self.lost.get(),
            plans_taken: self.plans.get(),
            auto: None,
        }
    }
}

/// What the user should hear of, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A wish was not taken.
    Refused {
        /// The axis.
        axis: usize,
        /// The clock.
        khz: u32,
        /// Why.
        why: Refusal,
    },
    /// A clock is held down.
    Clamped {
        /// The axis.
        axis: usize,
        /// The clock that it has instead.
        khz: u32,
        /// By whom.
        by: Limiter,
    },
}
