//! What a run hands back when it has ended.

use super::{Aggregate, DropCounters, DvfsSummary, EnergyEnd, Summary};
use crate::sync::Arc;
use std::collections::BTreeMap;

/// How the outputs of a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputEnd {
    /// Every line was taken.
    Complete,
    /// A reader wanted no more; the run ended early, which is success.
    Closed,
    /// An output failed; the run ended early. One sentence that names it.
    Failed(String),
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Totals over every result.
    pub totals: Aggregate,
    /// Captured and dropped frames.
    pub drops: Arc<DropCounters>,
    /// Frames that never reached the source, by kind.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Lines that found no receiver.
    pub unsent: u64,
    /// How the outputs ended.
    pub output: OutputEnd,
    /// Energy of the run.
    pub energy: EnergyEnd,
    /// What became of changes of clocks.
    pub dvfs: Option<DvfsSummary>,
}

impl Report {
    /// Counts the frames that were under way when the run failed as abandoned.
    pub fn settle(&mut self) {
        self.drops = Arc::new(self.drops.settled(self.totals.results()));
    }

    /// The summary as it stands.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            energy: self.energy.summary.clone(),
            dvfs: self.dvfs.clone(),
            ..Summary::new(&self.totals, &self.drops, &self.gaps)
        }
    }
}
