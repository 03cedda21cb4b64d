//! What every method is told: the board, the network, the pace, and frames that
//! were seen before the ones it is judged on.

use super::stream::{Method, Pace};
use crate::board::{Description, Of, SegmentLoad};
use crate::dvfs::Counters;
use crate::plan::cost::CostTable;
use crate::plan::file::PlanFile;
use crate::plan::planner::Objective;
use crate::sim::trace::TraceFrame;
use std::sync::Arc;

/// What a method may know before it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The board.
    pub board: &'static Description,
    /// What its segments ask for.
    pub loads: &'a [SegmentLoad],
    /// Whose segments they are.
    pub of: &'a Of,
    /// When frames come and have to be done.
    pub pace: Pace,
    /// What is to be least.
    pub objective: Objective,
    /// Seed of all that is random.
    pub seed: u64,
    /// Frames of the method's own exit policy that it may learn from.
    pub known: &'a [TraceFrame],
}

impl Scene<'_> {
    /// Share of the known frames that left at each exit; even where none is known.
    #[must_use]
    pub fn exit_share(&self) -> Vec<f64> {
        let mut counts = vec![0_u64; self.loads.len()];
        for frame in self.known {
            if let Some(count) = counts.get_mut(usize::from(frame.exit)) {
                *count += 1;
            }
        }
        let all: u64 = counts.iter().sum();
        let exits = super::outcome::float(u64::try_from(counts.len()).unwrap_or(1));
        let share = |n: &u64| match all {
            0 => 1.0 / exits,
            all => super::outcome::float(*n) / super::outcome::float(all),
        };
        counts.iter().map(share).collect()
    }

    /// From one frame to the next, s.
    #[must_use]
    pub fn interval_s(&self) -> f64 {
        super::outcome::float(self.pace.interval_ns) / 1e9
    }

    /// From arrival to answer, s.
    #[must_use]
    pub fn deadline_s(&self) -> f64 {
        super::outcome::float(self.pace.deadline_ns) / 1e9
    }
}

/// A method that is ready to run.
#[derive(Debug)]
pub struct Prepared {
    /// What sets the clocks.
    pub method: Box<dyn Method>,
    /// Clock points that were measured for it.
    pub probes: u64,
    /// The warm-up is part of what it spends on learning.
    pub learns: bool,
    /// The counts of the run's own controller, where that sets the clocks.
    pub counters: Option<Arc<Counters>>,
    /// What was measured and what was made of it.
    pub plan: Option<(CostTable, PlanFile)>,
}

impl Prepared {
    /// A method that measures nothing beforehand.
    #[must_use]
    pub fn new(method: impl Method + 'static) -> Self {
        Self {
            method: Box::new(method),
            probes: 0,
            learns: false,
            counters: None,
            plan: None,
        }
    }
}
