//! Which stages share a thread, which core it is pinned to, and its scheduling
//! class.
//!
//! The four stages form a chain, so a placement is a cut of the chain into
//! contiguous groups, one thread each: eight placements, from fused (one thread,
//! no hand-off at all) to four threads.

use super::OnError;
use super::strategy::WaitStrategy;
use crate::rt::SchedClass;
use std::fmt;

/// A stage of the pipeline, in the order of a frame's way.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Owns the source.
    Capture,
    /// Makes the tensor and runs the segments.
    Infer,
    /// Owns the temporal state and decides where a frame leaves.
    Gate,
    /// Takes the results.
    Sink,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 4] = [Self::Capture, Self::Infer, Self::Gate, Self::Sink];

    /// Name in configs and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Infer => "infer",
            Self::Gate => "gate",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thread of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Stages it runs, in order.
    pub stages: Vec<Stage>,
    /// Core it is pinned to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// Scheduling class.
    pub class: SchedClass,
    /// How it waits when it has run dry.
    pub wait: WaitStrategy,
    /// What to do when core or class are refused; `None`: as the pipeline does.
    pub on_error: Option<OnError>,
}

impl ThreadPlan {
    /// A thread of the default class that the scheduler places.
    #[must_use]
    pub fn unpinned(stages: &[Stage]) -> Self {
        Self {
            stages: stages.to_vec(),
            core: None,
            class: SchedClass::Other,
            wait: WaitStrategy::default(),
            on_error: None,
        }
    }
}

/// The threads of a pipeline, in the order of a frame's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    threads: Vec<ThreadPlan>,
}

/// A placement that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "pipeline.threads must name capture, infer, gate and sink once each, in this order, in groups; got {0}"
)]
pub struct PlacementError(String);

impl Placement {
    /// A placement of these threads.
    ///
    /// # Errors
    /// When the stages, read through all threads, are not the four in order.
    pub fn new(threads: Vec<ThreadPlan>) -> Result<Self, PlacementError> {
        let order: Vec<Stage> = threads
            .iter()
            .flat_map(|t| t.stages.iter().copied())
            .collect();
        if order != Stage::ALL || threads.iter().any(|t| t.stages.is_empty()) {
            let groups: Vec<String> = threads
                .iter()
                .map(|t| {
                    let names: Vec<&str> = t.stages.iter().map(|s| s.name()).collect();
                    format!("[{}]", names.join(", "))
                })
                .collect();
            return Err(PlacementError(format!("[{}]", groups.join(", "))));
        }
        Ok(Self { threads })
    }

    /// Unpinned threads of the default class, one for each group of stages.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unpinned(groups: &[&[Stage]]) -> Result<Self, PlacementError> {
        Self::new(
            groups
                .iter()
                .map(|stages| ThreadPlan::unpinned(stages))
                .collect(),
        )
    }

    /// All stages on one thread, not pinned.
    #[must_use]
    pub fn fused() -> Self {
        Self {
            threads: vec![ThreadPlan::unpinned(&Stage::ALL)],
        }
    }

    /// The threads in the order of a frame's way.
    #[must_use]
    pub fn threads(&self) -> &[ThreadPlan] {
        &self.threads
    }

    /// True when a hand-off between threads lies right before `stage`.
    #[must_use]
    pub fn cut_before(&self, stage: Stage) -> bool {
        stage != Stage::Capture
            && self
                .threads
                .iter()
                .any(|t| t.stages.first() == Some(&stage))
    }

    /// The thread that runs `stage`.
    #[must_use]
    pub fn thread_of(&self, stage: Stage) -> &ThreadPlan {
        &self.threads[self.thread_index(stage)]
    }

    /// Index of the thread that runs `stage`.
    #[must_use]
    pub fn thread_index(&self, stage: Stage) -> usize {
        // `new` has checked that every stage has its thread.
        self.threads
            .iter()
            .position(|t| t.stages.contains(&stage))
            .unwrap_or(0)
    }

    /// True when `stage`'s thread has its core to share with another thread of
    /// the pipeline, so that it must not spin.
    #[must_use]
    pub fn shares_core(&self, stage: Stage) -> bool {
        let own = self.thread_of(stage);
        match own.core {
            None => crate::rt::cores().len() < self.threads.len(),
            Some(core) => self
                .threads
                .iter()
                .any(|t| t != own && t.core.is_none_or(|c| c == core)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stage::{Capture, Gate, Infer, Sink};

    #[test]
    fn every_cut_of_the_chain_is_a_placement() {
        for mask in 0..8u8 {
            let mut groups: Vec<Vec<Stage>> = vec![vec![Capture]];
            for (i, stage) in [Infer, Gate, Sink].into_iter().enumerate() {
                if mask & (1 << i) == 0 {
                    groups.push(vec![stage]);
                } else if let Some(last) = groups.last_mut() {
                    last.push(stage);
                }
            }
            let slices: Vec<&[Stage]> = groups.iter().map(Vec::as_slice).collect();
            let placement = Placement::unpinned(&slices).unwrap();
            assert_eq!(placement.cut_before(Infer), mask & 1 == 0);
            assert_eq!(placement.cut_before(Gate), mask & 2 == 0);
            assert_eq!(placement.cut_before(Sink), mask & 4 == 0);
        }
    }

    #[test]
    fn a_missing_doubled_or_swapped_stage_is_refused_by_name() {
        for groups in [
            &[&[Capture, Infer][..], &[Sink]][..],
            &[&[Infer, Capture, Gate, Sink]],
            &[&[Capture, Infer, Gate, Sink], &[Sink]],
            &[&[Capture, Infer, Gate, Sink], &[]],
            &[],
        ] {
            let error = Placement::unpinned(groups).unwrap_err().to_string();
            assert!(error.starts_with("pipeline.threads"), "{error}");
        }
    }

    #[test]
    fn a_core_is_shared_by_threads_that_name_it() {
        let thread = |stages: &[Stage], core| ThreadPlan {
            core: Some(core),
            ..ThreadPlan::unpinned(stages)
        };
        let placement = Placement::new(vec![
            thread(&[Capture], 0),
            thread(&[Infer], 1),
            thread(&[Gate, Sink], 0),
        ])
        .unwrap();
        assert!(placement.shares_core(Capture) && placement.shares_core(Gate));
        assert!(!placement.shares_core(Infer));
    }
}
