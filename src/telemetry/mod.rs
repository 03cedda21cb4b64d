//! What a run leaves behind: one [`FrameResult`] a frame, drop counters,
//! histograms and the summary.

pub mod drops;
pub mod result;

pub use drops::{DropCounters, DropReason};
pub use result::{ExitRecord, FrameResult, MAX_EXITS};
