//! Frames that were captured and never became a result, counted by reason.
//!
//! Each counter has one writing thread; readers may lag behind it but never see
//! a count go back.

use crate::sync::{AtomicU64, Ordering};

/// Why a captured frame did not become a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Passed over to sample the source at the bundle's frame interval.
    Decimated,
    /// A newer frame took its place before infer was free.
    Superseded,
    /// Captured, but its data cannot be decoded.
    Undecodable,
    /// Still under way when the run was told to stop.
    Shutdown,
    /// The engine failed on it.
    EngineFailed,
    /// The sink was too far behind to take the result.
    SinkFull,
    /// Under way when a stage stalled, panicked or ended early.
    Abandoned,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::Decimated,
        Self::Superseded,
        Self::Undecodable,
        Self::Shutdown,
        Self::EngineFailed,
        Self::SinkFull,
        Self::Abandoned,
    ];

    /// The name in summaries and JSON lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decimated => "decimated",
            Self::Superseded => "superseded",
            Self::Undecodable => "undecodable",
            Self::Shutdown => "shutdown",
            Self::EngineFailed => "engine_failed",
            Self::SinkFull => "sink_full",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Shared drop counters of a run.
#[derive(Debug, Default)]
pub struct DropCounters {
    captured: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl DropCounters {
    /// Counts a captured frame. Called by the capture stage only.
    pub fn capture(&self) {
        self.captured
            .store(self.captured.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts a dropped frame.
    pub fn drop_frame(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Frames captured so far.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    /// Frames dropped so far for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Frames dropped so far for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        DropReason::ALL.iter().map(|&r| self.dropped(r)).sum()
    }

    /// The counts of a run that failed with `results` results: the frames that
    /// were under way are [`DropReason::Abandoned`]. A copy, which stages that
    /// were left behind cannot change.
    #[must_use]
    pub fn settled(&self, results: u64) -> Self {
        let copy = Self::default();
        for reason in DropReason::ALL {
            copy.dropped[reason as usize].store(self.dropped(reason), Ordering::Relaxed);
        }
        // Read last: a frame is counted here before it ends in any way.
        let ended = results + copy.total();
        let captured = self.captured().max(ended);
        copy.captured.store(captured, Ordering::Relaxed);
        copy.dropped[DropReason::Abandoned as usize].fetch_add(captured - ended, Ordering::Relaxed);
        copy
    }
}
