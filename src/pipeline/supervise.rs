//! Watches the threads of a run: joins those that end, ends the run when one fails
//! or stalls, tells systemd that it lives, says what the dvfs thread has to say.

use super::dvfs::Keeper;
use super::notices::Notices;
use super::placement::Stage;
use super::run::PipelineError;
use super::stop::{Heartbeat, Stop};
use super::threads::Part;
use crate::monotonic::now_ns;
use crate::rt::service::Service;
use std::thread::JoinHandle;
use std::time::Duration;

/// A supervisor that comes this late was suspended with the whole process.
const SUSPENDED_NS: u64 = 500_000_000;
/// How long the others are given to end once a stage has stalled.
const GRACE_NS: u64 = 500_000_000;
/// How often the supervisor looks at its threads.
const SUPERVISION: Duration = Duration::from_millis(5);

/// One heartbeat a stage, in the order of a frame's way.
#[derive(Debug, Clone, Default)]
pub(super) struct Heartbeats([Heartbeat; 4]);

impl Heartbeats {
    pub fn of(&self, stage: Stage) -> Heartbeat {
        self.0[stage as usize].clone()
    }

    /// The stage furthest down the chain that has been busy for too long: what
    /// waits for it upstream is not the cause. Nor is a stage the cause of what
    /// the reader of the results held up.
    fn stalled(&self, limit_ns: u64, stop: &Stop, awake_since_ns: u64) -> Option<(Stage, u64)> {
        let now = now_ns();
        let counted_from = stop.held_up_until_ns(now).max(awake_since_ns);
        Stage::ALL
            .into_iter()
            .rev()
            .map(|stage| (stage, self.0[stage as usize].busy_for_ns(now, counted_from)))
            .find(|&(_, busy_ns)| busy_ns > limit_ns)
    }
}

pub(super) type Handles<S> = Vec<(Stage, JoinHandle<Result<Part<S>, PipelineError>>)>;

/// What the supervisor looks at.
pub(super) struct Watch<'a> {
    pub stop: &'a Stop,
    pub heartbeats: &'a Heartbeats,
    pub limit_ns: u64,
    pub notices: &'a Notices,
    pub keeper: Option<&'a mut Keeper>,
}

impl Watch<'_> {
    /// Joins the threads as they end; the first failure ends the others. Those
    /// that a stalled stage holds up are left behind after [`GRACE_NS`].
    pub fn supervise<S>(
        &mut self,
        mut handles: Handles<S>,
        mut failure: Option<PipelineError>,
        service: &mut Service,
    ) -> (Vec<Part<S>>, Option<PipelineError>) {
        let mut parts = Vec::with_capacity(handles.len());
        let mut looked_ns = now_ns();
        let mut awake_since_ns = 0;
        let mut leave_at_ns = u64::MAX;
        while !handles.is_empty() && now_ns() < leave_at_ns {
            // A process that was stopped for a while has not stalled.
            let now = now_ns();
            if now - looked_ns > SUSPENDED_NS {
                awake_since_ns = now;
            }
            looked_ns = now;
            if let Some(error) = join_ended(&mut handles, &mut parts) {
                failure = Some(worse(failure, error));
            }
            if leave_at_ns == u64::MAX
                && let Some(stalled) = self.stalled(awake_since_ns)
            {
                leave_at_ns = now.saturating_add(GRACE_NS);
                failure = Some(worse(failure, stalled));
            }
            if let Some(keeper) = &mut self.keeper
                && let Some(error) = keeper.look(self.notices)
            {
                failure = Some(worse(failure, error));
            }
            if failure.is_some() {
                self.stop.raise();
            }
            service.beat(now, self.stop.is_raised());
            std::thread::sleep(SUPERVISION);
        }
        (parts, failure)
    }

    fn stalled(&self, awake_since_ns: u64) -> Option<PipelineError> {
        let stalled = self
            .heartbeats
            .stalled(self.limit_ns, self.stop, awake_since_ns);
        stalled.map(|(stage, busy_ns)| PipelineError::Stalled {
            stage,
            busy_ms: busy_ns / 1_000_000,
        })
    }
}

/// Takes the parts of the threads that have ended; the cause comes back where
/// some of them failed.
fn join_ended<S>(handles: &mut Handles<S>, parts: &mut Vec<Part<S>>) -> Option<PipelineError> {
    let mut failure = None;
    while let Some(index) = handles.iter().position(|(_, h)| h.is_finished()) {
        let (stage, handle) = handles.swap_remove(index);
        match handle.join() {
            Ok(Ok(part)) => parts.push(part),
            Ok(Err(error)) => failure = Some(worse(failure, error)),
            Err(_) => failure = Some(worse(failure, PipelineError::Panicked(stage))),
        }
    }
    failure
}

/// Of two failures the one that caused the other.
fn worse(earlier: Option<PipelineError>, later: PipelineError) -> PipelineError {
    match earlier {
        None | Some(PipelineError::StageGone(_)) => later,
        Some(earlier) => earlier,
    }
}
