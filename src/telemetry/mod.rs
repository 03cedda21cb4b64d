//! What a run leaves behind: one [`FrameResult`] a frame, drop counters,
//! histograms and the summary.

pub mod aggregate;
pub mod drops;
pub mod dvfs;
pub mod energy;
mod fifo;
pub mod line;
pub mod output;
pub mod report;
pub mod result;
pub mod status;
pub mod summary;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod trace;

pub use aggregate::Aggregate;
pub use drops::{DropCounters, DropReason};
pub use dvfs::{AutoSummary, DvfsSummary, FrameClocks};
pub use energy::{EnergyEnd, EnergySummary};
pub use output::Output;
pub use report::{OutputEnd, Report};
pub use result::{ExitRecord, FrameResult, MAX_EXITS};
pub use summary::Summary;

/// `n` things in words: `1 whole frame`, `2 whole frames`.
pub(crate) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
