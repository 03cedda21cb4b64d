//! The pipeline's public face: what it is made of, how it is to run, and what a
//! run leaves behind.

use super::capture::Damage;
use super::dvfs::Dvfs;
use super::hop::HopTx;
use super::notices::Notices;
use super::placement::{Placement, Stage};
use super::stop::Stop;
use super::threads;
use super::wait::{Until, Waiter};
use crate::clocks::GuardHandle;
use crate::engine::{Engine, EngineError, bundle::Bundle};
use crate::gates::Gates;
use crate::monotonic::now_ns;
use crate::source::{FrameSource, SourceError};
use crate::telemetry::{DropCounters, DvfsSummary, FrameResult};
use crate::tensor::convert::Resize;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// What happens when infer is behind the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// `newest` for live sources, `block` for the others.
    #[default]
    Auto,
    /// The source waits; no frame is lost to a slow infer.
    Block,
    /// The newest frame takes the place of the one that waits.
    Newest,
}

/// Whether a thread set-up that the system refuses ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Say so once and go on.
    #[default]
    Warn,
    /// Fail at start, naming what is missing.
    Strict,
}

/// Takes the results, one call a frame, in order.
pub trait ResultSink: Send {
    /// Takes one result; false asks the run to end, and those that are under way
    /// then follow.
    fn accept(&mut self, result: &FrameResult) -> bool;
}

impl<F: FnMut(&FrameResult) -> bool + Send> ResultSink for F {
    fn accept(&mut self, result: &FrameResult) -> bool {
        self(result)
    }
}

/// What a pipeline is made of, and how it is to run.
#[derive(Debug)]
pub struct Pipeline<S> {
    pub(super) source: Box<dyn FrameSource>,
    pub(super) engine: Box<dyn Engine>,
    pub(super) bundle: Bundle,
    pub(super) gates: Gates,
    pub(super) sink: S,
    pub(super) dvfs: Option<Dvfs>,
    pub(super) options: Options,
}

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) placement: Placement,
    pub(super) policy: Policy,
    pub(super) on_error: OnError,
    pub(super) lock_memory: bool,
    pub(super) cpu_latency_us: Option<u32>,
    pub(super) timer_slack_ns: u32,
    pub(super) prefault_heap: usize,
    pub(super) slots: usize,
    pub(super) frames: Option<u64>,
    pub(super) sample: bool,
    pub(super) speculate: bool,
    pub(super) resize: Resize,
    pub(super) watchdog_ns: u64,
    pub(super) drops: Arc<DropCounters>,
    pub(super) notices: Notices,
}

/// What a run that ended by itself leaves behind.
#[derive(Debug)]
pub struct Finished<S> {
    /// The sink, with what it has gathered.
    pub sink: S,
    /// Frames captured, and dropped by reason.
    pub drops: Arc<DropCounters>,
    /// Frames that the source lost before they were captured, by kind.
    pub source_gaps: BTreeMap<&'static str, u64>,
    /// Parts of the source that could not be read.
    pub damage: Damage,
    /// The source came to its end: neither a limit of frames nor a request to stop
    /// ended the run, so the last clip was seen whole.
    pub source_ended: bool,
    /// The first engine failure, and how many frames were lost to such.
    pub engine_failures: (Option<EngineError>, u64),
    /// Sentences for the user: what was asked for and could not be had.
    pub notices: Vec<String>,
}

/// What is left of a run, whether it ended by itself or failed in its course.
#[derive(Debug)]
pub struct Ended<S> {
    /// The sink, unless the stage that stalled or panicked took it along.
    pub sink: Option<S>,
    /// Frames captured, and dropped by reason. After a failure, those that were
    /// under way are in none of the counts: [`DropCounters::settled`] adds them.
    pub drops: Arc<DropCounters>,
    /// Frames that the source lost before they were captured, by kind, as far as
    /// the capture stage could tell.
    pub source_gaps: BTreeMap<&'static str, u64>,
    /// Parts of the source that could not be read.
    pub damage: Damage,
    /// The source came to its end: neither a limit of frames nor a request to stop
    /// ended the run, so the last clip was seen whole.
    pub source_ended: bool,
    /// The first engine failure, and how many frames were lost to such.
    pub engine_failures: (Option<EngineError>, u64),
    /// What became of changes of clocks, where they were followed.
    pub dvfs: Option<DvfsSummary>,
    /// Sentences for the user: what was asked for and could not be had.
    pub notices: Vec<String>,
    /// Why the run failed, if it did.
    pub failure: Option<PipelineError>,
}

impl<S> Ended<S> {
    /// The run that ended by itself, or why it did not.
    ///
    /// # Errors
    /// The failure.
    pub fn finished(self) -> Result<Finished<S>, PipelineError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        Ok(Finished {
            sink: self.sink.ok_or(PipelineError::StageGone("sink"))?,
            drops: self.drops,
            source_gaps: self.source_gaps,
            damage: self.damage,
            source_ended: self.source_ended,
            engine_failures: self.engine_failures,
            notices: self.notices,
        })
    }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The source cannot deliver, or broke for good.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A segment does not load.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A thread could not be set up as asked under `on_error = "strict"`.
    #[error("{0}")]
    Setup(String),
    /// A thread could not be started.
    #[error("cannot start the {stage} thread: {source}")]
    Spawn {
        /// First stage of the thread.
        stage: Stage,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A stage has made no progress for longer than the watchdog allows.
    #[error(
        "the {stage} stage has been busy with one frame for {busy_ms} ms (pipeline.watchdog_ms)"
    )]
    Stalled {
        /// The stage.
        stage: Stage,
        /// How long.
        busy_ms: u64,
    },
    /// A stage's thread ended while others still needed it.
    #[error("the {0} stage ended early")]
    StageGone(&'static str),
    /// A stage's thread panicked.
    #[error("the {0} stage panicked")]
    Panicked(Stage),
    /// The thread that sets the clocks failed.
    #[error("the dvfs thread {0}")]
    Dvfs(String),
}

impl<S: ResultSink + 'static> Pipeline<S> {
    /// A pipeline with the default options: all stages on one unpinned thread.
    pub fn new(
        source: Box<dyn FrameSource>,
        engine: Box<dyn Engine>,
        bundle: Bundle,
        gates: Gates,
        sink: S,
    ) -> Self {
        let options = Options {
            placement: Placement::fused(),
            policy: Policy::Auto,
            on_error: OnError::Warn,
            lock_memory: false,
            cpu_latency_us: None,
            timer_slack_ns: 1,
            prefault_heap: 8 << 20,
            slots: 6,
            frames: None,
            sample: true,
            speculate: true,
            resize: Resize::default(),
            watchdog_ns: 10_000_000_000,
            drops: Arc::default(),
            notices: Notices::default(),
        };
        Self {
            source,
            engine,
            bundle,
            gates,
            sink,
            dvfs: None,
            options,
        }
    }

    /// Which stages share a thread, and where the threads run.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.options.placement = placement;
        self
    }

    /// What happens when infer is behind.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options.policy = policy;
        self
    }

    /// Whether it ends the run when the host refuses a core, a scheduling class,
    /// locked memory or shallow idle states. A thread's own
    /// [`on_error`](super::ThreadPlan::on_error) wins.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.options.on_error = on_error;
        self
    }

    /// Whether the whole process is kept in memory, so that the kernel cannot page
    /// out what a stage needs rarely. It stays so after the run.
    #[must_use]
    pub fn lock_memory(mut self, lock_memory: bool) -> Self {
        self.options.lock_memory = lock_memory;
        self
    }

    /// Longest time in microseconds that a core may take to leave an idle state,
    /// for as long as the run lasts; 0 keeps cores from idling.
    #[must_use]
    pub fn cpu_latency_us(mut self, us: Option<u32>) -> Self {
        self.options.cpu_latency_us = us;
        self
    }

    /// Nanoseconds that the kernel may let a timed sleep of a thread in the default
    /// class run over; 0: the kernel's own default.
    #[must_use]
    pub fn timer_slack_ns(mut self, slack_ns: u32) -> Self {
        self.options.timer_slack_ns = slack_ns;
        self
    }

    /// Bytes of heap that each thread touches at start where memory is locked.
    #[must_use]
    pub fn prefault_heap(mut self, bytes: usize) -> Self {
        self.options.prefault_heap = bytes;
        self
    }

    /// Number of frame slots, at least 3: one being filled, one waiting, one
    /// inferred on.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.options.slots = slots.max(3);
        self
    }

    /// Captures this many frames at most.
    #[must_use]
    pub fn frames(mut self, frames: Option<u64>) -> Self {
        self.options.frames = frames;
        self
    }

    /// Whether the source is sampled to the bundle's frame interval (default), or
    /// every frame goes in whatever its time.
    #[must_use]
    pub fn sample(mut self, sample: bool) -> Self {
        self.options.sample = sample;
        self
    }

    /// Whether an asynchronous engine starts on the next segment before the
    /// gate's verdict.
    #[must_use]
    pub fn speculate(mut self, speculate: bool) -> Self {
        self.options.speculate = speculate;
        self
    }

    /// How frames are shrunk to the network's input.
    #[must_use]
    pub fn resize(mut self, resize: Resize) -> Self {
        self.options.resize = resize;
        self
    }

    /// Longest time a stage may spend on one frame, in nanoseconds.
    #[must_use]
    pub fn watchdog_ns(mut self, watchdog_ns: u64) -> Self {
        self.options.watchdog_ns = watchdog_ns;
        self
    }

    /// Clocks to follow the frames with.
    #[must_use]
    pub fn dvfs(mut self, dvfs: Option<Dvfs>) -> Self {
        self.dvfs = dvfs;
        self
    }

    /// What gives the clocks back from anywhere, a signal's thread for instance.
    #[must_use]
    pub fn clocks_handle(&self) -> GuardHandle {
        self.dvfs.as_ref().map(Dvfs::handle).unwrap_or_default()
    }

    /// Counters to use, for a sink that reports drops as they happen.
    #[must_use]
    pub fn drop_counters(mut self, drops: Arc<DropCounters>) -> Self {
        self.options.drops = drops;
        self
    }

    /// The counters in use.
    #[must_use]
    pub fn drops(&self) -> Arc<DropCounters> {
        self.options.drops.clone()
    }

    /// Says sentences for the user as they arise: what was asked for and cannot
    /// be had, and failures that the run survives. Each is said once, on the
    /// thread that finds it out; what the source says, as often as it happens.
    #[must_use]
    pub fn on_notice(mut self, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.options.notices.told_to(say);
        self
    }

    /// Runs until the source ends, `stop` is raised or the sink asks to end.
    ///
    /// # Errors
    /// When the source, a segment or a thread fails for good. Damage to parts of
    /// the source is reported in [`Finished`].
    pub fn run(self, stop: &Stop) -> Result<Finished<S>, PipelineError> {
        self.run_to_end(stop).finished()
    }

    /// As [`run`](Self::run), and what had been achieved when a run fails comes
    /// with the failure. A stage that stalls is left behind with its thread, and
    /// so are the stages that wait for it.
    pub fn run_to_end(self, stop: &Stop) -> Ended<S> {
        threads::run(self, stop)
    }
}

/// Where a result goes: a sink on this thread, or a ring to it.
#[derive(Debug)]
pub(crate) enum Outlet<S> {
    /// The sink itself.
    Direct(S),
    /// The sink's thread. A live source drops what does not fit.
    Ring {
        results: HopTx<FrameResult>,
        live: bool,
    },
}

impl<S: ResultSink> Outlet<S> {
    /// False when the result could not be taken.
    pub(super) fn deliver(
        &mut self,
        result: &mut FrameResult,
        stop: &Stop,
        waiter: &mut Waiter,
    ) -> bool {
        match self {
            Self::Direct(sink) => {
                result.delivered_ns = now_ns();
                if !sink.accept(result) {
                    stop.raise();
                }
                true
            }
            Self::Ring {
                results,
                live: true,
            } => results.try_send(*result).is_ok(),
            Self::Ring {
                results,
                live: false,
            } => results.send(waiter, *result, Until::FOREVER).is_ok(),
        }
    }
}
