//! Cuts the chain of stages into threads, starts them, watches them and puts
//! together what they leave behind.

use super::capture::{Capture, Damage};
use super::dvfs::{Dvfs, Keeper};
use super::gate::{Feature, GateStage, Verdict};
use super::hop::{HopRx, HopTx, hop};
use super::host::{self, Granted};
use super::infer::{Infer, Judge};
use super::loops::{self, CatchUp, Feed, Forward};
use super::mailbox::mailbox;
use super::notices::Notices;
use super::placement::{Stage, ThreadPlan};
use super::run::{Ended, OnError, Options, Outlet, Pipeline, PipelineError, Policy, ResultSink};
use super::sampler::Sampler;
use super::stop::{Heartbeat, Stop};
use super::supervise::{Handles, Heartbeats, Watch};
use super::wait::Waiter;
use crate::engine::EngineError;
use crate::rt::ThreadSetup;
use crate::rt::memory::{touch_heap, touch_stack};
use crate::rt::service::Service;
use crate::source::Reporter;
use crate::telemetry::FrameResult;
use crate::tensor::Slot;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::thread::JoinHandle;

/// Results that may wait for the sink.
const RESULTS_WAITING: usize = 1024;

/// What one thread leaves behind.
#[derive(Debug)]
pub(super) struct Part<S> {
    pub sink: Option<S>,
    pub source: Option<SourcePart>,
    pub engine_failures: Option<(Option<EngineError>, u64)>,
}

/// What the capture stage leaves behind.
#[derive(Debug, Default)]
pub(super) struct SourcePart {
    pub gaps: BTreeMap<&'static str, u64>,
    pub damage: Damage,
    pub ended: bool,
}

impl<S> Default for Part<S> {
    fn default() -> Self {
        Self {
            sink: None,
            source: None,
            engine_failures: None,
        }
    }
}

type Work<S> = Box<dyn FnOnce(Waiter, &Stop) -> Result<Part<S>, PipelineError> + Send>;

/// A thread that is ready to be started.
struct Prepared<S> {
    plan: ThreadPlan,
    setup: ThreadSetup,
    on_error: OnError,
    /// The user has been told that it will not run as asked.
    refusal_is_known: bool,
    /// Bytes of heap to touch.
    heap: usize,
    waiter: Waiter,
    work: Work<S>,
}

pub(super) fn run<S: ResultSink + 'static>(pipeline: Pipeline<S>, stop: &Stop) -> Ended<S> {
    let options = pipeline.options.clone();
    let heartbeats = Heartbeats::default();
    let mut granted = Granted::default();
    let ready = granted
        .ask(&options)
        .and_then(|()| prepare(pipeline, stop, &heartbeats));
    let (handles, mut keeper, failure) = match ready {
        Ok((prepared, keeper)) => {
            let (handles, failure) = start_all(prepared, &granted, &options, stop);
            (handles, keeper, failure)
        }
        Err(error) => (Vec::new(), None, Some(error)),
    };
    let mut watch = Watch {
        stop,
        heartbeats: &heartbeats,
        limit_ns: options.watchdog_ns,
        notices: &options.notices,
        keeper: keeper.as_mut(),
    };
    let mut service = match failure {
        None => Service::ready(),
        Some(_) => Service::default(),
    };
    let (parts, mut failure) = watch.supervise(handles, failure, &mut service);
    let dvfs = keeper.map(|keeper| {
        let (summary, error) = keeper.end(&options.notices);
        failure = failure.take().or(error);
        summary
    });
    if let Some(sentence) = service.end() {
        options.notices.say(sentence);
    }
    Ended {
        dvfs,
        ..assemble(parts, failure, &options)
    }
}

/// Starts every thread; those behind one that does not start never will, and the
/// ones before it end because their hand-offs close.
fn start_all<S: Send + 'static>(
    prepared: Vec<Prepared<S>>,
    granted: &Granted,
    options: &Options,
    stop: &Stop,
) -> (Handles<S>, Option<PipelineError>) {
    let mut handles = Vec::with_capacity(prepared.len());
    for (index, mut thread) in prepared.into_iter().enumerate() {
        let stage = thread.plan.stages[0];
        thread.refusal_is_known = granted.has_refused(index);
        match start(thread, options.notices.clone(), stop.clone()) {
            Ok(handle) => handles.push((stage, handle)),
            Err(source) => {
                stop.raise();
                return (handles, Some(PipelineError::Spawn { stage, source }));
            }
        }
    }
    (handles, None)
}

fn start<S: Send + 'static>(
    thread: Prepared<S>,
    notices: Notices,
    stop: Stop,
) -> std::io::Result<JoinHandle<Result<Part<S>, PipelineError>>> {
    let name = format!("e4-{}", thread.plan.stages[0]);
    std::thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = thread.setup.apply() {
            let sentence = host::sentence(&thread.plan, &error);
            match thread.on_error {
                OnError::Strict => return Err(PipelineError::Setup(sentence)),
                OnError::Warn if thread.refusal_is_known => {}
                OnError::Warn => notices.say(sentence),
            }
        }
        touch_stack();
        touch_heap(thread.heap);
        (thread.work)(thread.waiter, &stop)
    })
}

fn assemble<S>(parts: Vec<Part<S>>, failure: Option<PipelineError>, options: &Options) -> Ended<S> {
    let mut whole = Part::default();
    for part in parts {
        whole.sink = whole.sink.or(part.sink);
        whole.source = whole.source.or(part.source);
        whole.engine_failures = whole.engine_failures.or(part.engine_failures);
    }
    let gone = whole.source.is_none().then_some("capture");
    let gone = gone.or(whole.sink.is_none().then_some("sink"));
    let source = whole.source.unwrap_or_default();
    Ended {
        sink: whole.sink,
        drops: options.drops.clone(),
        source_gaps: source.gaps,
        damage: source.damage,
        source_ended: source.ended,
        engine_failures: whole.engine_failures.unwrap_or_default(),
        dvfs: None,
        notices: options.notices.said(),
        failure: failure.or(gone.map(PipelineError::StageGone)),
    }
}

/// The chain, built from its end: every stage owns the way to the next one.
fn prepare<S: ResultSink + 'static>(
    pipeline: Pipeline<S>,
    stop: &Stop,
    heartbeats: &Heartbeats,
) -> Result<(Vec<Prepared<S>>, Option<Keeper>), PipelineError> {
    let Pipeline {
        mut source,
        engine,
        bundle,
        gates,
        sink,
        dvfs,
        options,
    } = pipeline;
    let live = source.info().live;
    let newest = options.policy == Policy::Newest || (options.policy == Policy::Auto && live);
    let drops = options.drops.clone();
    let mut build = Build::new(&options);

    let outlet = build.sink(sink, newest, heartbeats.of(Stage::Sink));
    let notices = options.notices.clone();
    let told = notices.clone();
    source.report_to(Reporter::new(move |sentence| told.say_again(sentence)));
    let mut gate = GateStage::new(gates, outlet, drops.clone(), stop.clone(), notices.clone());
    gate.clocks = dvfs.as_ref().map(Dvfs::counters);
    let judge = build.gate(gate, heartbeats.of(Stage::Gate));
    let beat = heartbeats.of(Stage::Infer);
    let mut infer = Infer::new(
        engine,
        &bundle,
        (options.speculate, options.resize),
        judge,
        drops.clone(),
        beat,
        notices.clone(),
    )?;
    let started = dvfs.map(|dvfs| dvfs.start(&notices)).transpose()?;
    let (teller, keeper) = started.unzip();
    infer.teller = teller;
    let manifest = bundle.manifest();
    let capture = Capture {
        source,
        sampler: Sampler::new(options.sample.then_some(manifest.frame_interval_ns)),
        drops,
        stop: stop.clone(),
        heartbeat: heartbeats.of(Stage::Capture),
        limit: options.frames,
        labels: manifest.labels.clone(),
        label_map: None,
        frames: 0,
        samples: 0,
        damage: Damage::default(),
        ended: false,
        notices,
        clip: 0,
        slow_said_ns: None,
    };
    build.capture(capture, infer, newest);
    Ok((build.finish(), keeper))
}

/// The threads' waiters, and the work that has been given to them so far.
struct Build<'a, S> {
    options: &'a Options,
    /// One a thread, in the placement's order.
    waiters: Vec<Waiter>,
    work: Vec<(Stage, Work<S>)>,
}

impl<'a, S: ResultSink + 'static> Build<'a, S> {
    fn new(options: &'a Options) -> Self {
        let waiter = |thread: &ThreadPlan| {
            let shared = options.placement.shares_core(thread.stages[0]);
            Waiter::new(thread.wait, shared)
        };
        let waiters = options.placement.threads().iter().map(waiter).collect();
        Self {
            options,
            waiters,
            work: Vec::new(),
        }
    }

    fn cut_before(&self, stage: Stage) -> bool {
        self.options.placement.cut_before(stage)
    }

    /// A hop from the thread of `from` to the thread of `to`.
    fn hop<T>(&self, capacity: usize, from: Stage, to: Stage) -> (HopTx<T>, HopRx<T>) {
        hop(capacity, self.waiter(from), self.waiter(to))
    }

    fn waiter(&self, stage: Stage) -> &Waiter {
        &self.waiters[self.options.placement.thread_index(stage)]
    }

    fn sink(&mut self, sink: S, live: bool, heartbeat: Heartbeat) -> Outlet<S> {
        if !self.cut_before(Stage::Sink) {
            return Outlet::Direct(sink);
        }
        let (tx, rx) = self.hop::<FrameResult>(RESULTS_WAITING, Stage::Gate, Stage::Sink);
        let work = move |waiter, stop: &Stop| loops::sink(sink, rx, waiter, &heartbeat, stop);
        self.work.push((Stage::Sink, Box::new(work)));
        Outlet::Ring { results: tx, live }
    }

    fn gate(&mut self, gate: GateStage<S>, heartbeat: Heartbeat) -> Judge<S> {
        if !self.cut_before(Stage::Gate) {
            return Judge::Local {
                gate: Box::new(gate),
                verdict: None,
            };
        }
        let (features, inbox) = self.hop::<Feature>(2, Stage::Infer, Stage::Gate);
        let (outbox, verdicts) = self.hop::<Verdict>(2, Stage::Gate, Stage::Infer);
        let work = move |waiter, _: &Stop| loops::gate(gate, inbox, outbox, waiter, &heartbeat);
        self.work.push((Stage::Gate, Box::new(work)));
        Judge::Remote { features, verdicts }
    }

    fn capture(&mut self, capture: Capture, infer: Infer<S>, newest: bool) {
        if !self.cut_before(Stage::Infer) {
            let catch_up = newest.then(|| CatchUp::new(self.options));
            let work =
                move |waiter, _: &Stop| loops::capture_and_infer(capture, infer, waiter, catch_up);
            self.work.push((Stage::Capture, Box::new(work)));
            return;
        }
        let slots = self.options.slots;
        let (free_tx, free_rx) = self.hop::<Slot>(slots, Stage::Infer, Stage::Capture);
        let (forward, feed) = if newest {
            let (tx, rx) = mailbox(self.waiter(Stage::Infer));
            (Forward::Newest(tx), Feed::Newest(rx))
        } else {
            let (tx, rx) = self.hop(slots, Stage::Capture, Stage::Infer);
            (Forward::Block(tx), Feed::Block(rx))
        };
        let work = move |waiter, stop: &Stop| loops::infer(infer, feed, free_tx, waiter, stop);
        self.work.push((Stage::Infer, Box::new(work)));
        let work = move |waiter, _: &Stop| loops::capture(capture, slots, forward, free_rx, waiter);
        self.work.push((Stage::Capture, Box::new(work)));
    }

    /// Work and waiters, thread by thread.
    fn finish(self) -> Vec<Prepared<S>> {
        let Self {
            options,
            waiters,
            mut work,
        } = self;
        let mut threads = Vec::with_capacity(waiters.len());
        for (plan, waiter) in options.placement.threads().iter().zip(waiters) {
            let first = plan.stages[0];
            if let Some(at) = work.iter().position(|(stage, _)| *stage == first) {
                let (_, work) = work.swap_remove(at);
                threads.push(Prepared {
                    plan: plan.clone(),
                    setup: options.setup_of(plan),
                    on_error: options.on_refusal(plan),
                    refusal_is_known: false,
                    heap: match options.lock_memory {
                        true => options.prefault_heap,
                        false => 0,
                    },
                    waiter,
                    work,
                });
            }
        }
        threads
    }
}
