//! The dvfs thread: follows the frames and sets, or only watches, the clocks.
//!
//! Guarantees: it is not on a frame's way. Infer leaves an event where there is
//! room and never waits; a slow, late or failing write delays nobody. It ends when
//! infer does. The clocks are given back when the run ends, however it ends; what
//! is not as it should be is said by the supervisor, once. After its start the
//! thread allocates nothing.
//!
//! Cost on infer's thread: a push an event and, where dvfs sleeps, its wake-up.

use super::auto::{Auto, Planner};
use super::notices::Notices;
use super::run::{OnError, PipelineError};
use crate::clocks::{Guard, GuardHandle};
use crate::dvfs::{
    AXES, Board, Controller, Counters, Event, EventKind, Leads, StagePlan, Trouble, tables,
};
use crate::handoff::{
    Followed, Follower, HopRx, HopTx, PlanPort, WaitStrategy, Waiter, follow, hop,
};
use crate::monotonic::now_ns;
use crate::plan::Axis;
use crate::rt::ThreadSetup;
use crate::rt::memory::touch_stack;
use crate::telemetry::DvfsSummary;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Events that may wait: those of a few dozen frames.
const EVENTS: usize = 256;
/// Troubles that may wait to be said.
const TROUBLES: usize = 16;
/// How long the thread may take to end after infer.
const GRACE_NS: u64 = 500_000_000;
/// How often clocks that are only watched are read without an event.
const WATCH_NS: u64 = 100_000_000;

/// What is done with the clocks.
#[derive(Debug)]
pub enum DvfsTask {
    /// They are read.
    Observe,
    /// They are set as planned.
    Plan(Box<StagePlan>, Box<Leads>),
    /// They are set by plans that are made in the run; the first one is to begin with.
    Auto(Box<StagePlan>, Box<Leads>),
}

/// Clocks to follow a run with, and what to do with them.
#[derive(Debug)]
pub struct Dvfs {
    board: Box<dyn Board>,
    task: DvfsTask,
    guard: Option<Guard>,
    setup: ThreadSetup,
    on_error: OnError,
    counters: Arc<Counters>,
    waiter: Waiter,
    port: Option<PlanPort<Box<StagePlan>>>,
    follower: Follower<Event, Box<StagePlan>>,
    events: HopTx<Event>,
    auto: Option<Auto>,
}

impl Dvfs {
    /// Clocks of `board`, which `guard` gives back at the end.
    #[must_use]
    pub fn new(board: Box<dyn Board>, task: DvfsTask, guard: Option<Guard>) -> Self {
        let waiter = Waiter::new(WaitStrategy::Park, false);
        // Infer never waits for room.
        let infer = Waiter::new(WaitStrategy::Park, false);
        let (events, port, follower) = follow(EVENTS, &infer, &waiter);
        Self {
            board,
            task,
            guard,
            setup: ThreadSetup::default(),
            on_error: OnError::Warn,
            counters: Arc::default(),
            waiter,
            port: Some(port),
            follower,
            events,
            auto: None,
        }
    }

    /// What makes plans in the run.
    #[must_use]
    pub(super) fn exploring(mut self, auto: Auto) -> Self {
        self.auto = Some(auto);
        self
    }

    /// How its thread is to run, and what to do where that is refused.
    #[must_use]
    pub fn thread(mut self, setup: ThreadSetup, on_error: OnError) -> Self {
        (self.setup, self.on_error) = (setup, on_error);
        self
    }

    /// Where other plans can be put in during the run, once.
    pub fn port(&mut self) -> Option<PlanPort<Box<StagePlan>>> {
        self.port.take()
    }

    /// What gives the clocks back from anywhere.
    #[must_use]
    pub fn handle(&self) -> GuardHandle {
        self.guard.as_ref().map(Guard::handle).unwrap_or_default()
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Starts the thread and waits until it is set up.
    pub(super) fn start(mut self, notices: &Notices) -> Result<(Teller, Keeper), PipelineError> {
        let mode = match self.task {
            DvfsTask::Observe => "observe",
            DvfsTask::Plan(..) => "plan",
            DvfsTask::Auto(..) => "auto",
        };
        let planner = self.start_planner(notices)?;
        let teller = Teller {
            events: self.events,
            counters: self.counters.clone(),
        };
        let (waiter, nobody) = (self.waiter, Waiter::new(WaitStrategy::Park, false));
        let (say, troubles) = hop(TROUBLES, &waiter, &nobody);
        let mut thread = Thread {
            board: self.board,
            follower: self.follower,
            waiter,
            counters: self.counters.clone(),
            say,
        };
        let (setup, task) = (self.setup, self.task);
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let started = std::thread::Builder::new()
            .name("e4-dvfs".into())
            .spawn(move || {
                let outcome = setup.apply();
                touch_stack();
                // Who started it waits for this.
                let _ = ready.send(outcome);
                thread.run(task);
            });
        let keeper = |handle| Keeper {
            handle,
            troubles,
            guard: self.guard,
            counters: self.counters,
            mode,
            planner,
        };
        let handle =
            started.map_err(|error| PipelineError::Dvfs(format!("does not start: {error}")))?;
        if let Ok(Err(error)) = is_ready.recv() {
            let sentence = format!("the dvfs thread: {error}");
            match self.on_error {
                OnError::Strict => return Err(PipelineError::Setup(sentence)),
                OnError::Warn => notices.say(sentence),
            }
        }
        Ok((teller, keeper(Some(handle))))
    }
}

impl Dvfs {
    fn start_planner(&mut self, notices: &Notices) -> Result<Option<Planner>, PipelineError> {
        let (Some(auto), Some(port)) = (self.auto.take(), self.port.take()) else {
            return Ok(None);
        };
        let started = Planner::start(auto, port, self.counters.clone(), notices.clone());
        let started = started.map_err(|error| {
            PipelineError::Dvfs(format!("has no thread to plan beside it: {error}"))
        });
        started.map(Some)
    }
}

/// Infer's end: tells what happens to frames.
#[derive(Debug)]
pub(super) struct Teller {
    events: HopTx<Event>,
    counters: Arc<Counters>,
}

impl Teller {
    /// Tells it where there is room.
    pub fn tell(&mut self, frame: u64, at_ns: u64, kind: EventKind) {
        let event = Event { at_ns, frame, kind };
        if self.events.try_send(event).is_err() {
            self.counters.lost.add();
        }
    }
}

/// The thread's own.
struct Thread {
    board: Box<dyn Board>,
    follower: Follower<Event, Box<StagePlan>>,
    waiter: Waiter,
    counters: Arc<Counters>,
    say: HopTx<Trouble>,
}

impl Thread {
    fn run(&mut self, task: DvfsTask) {
        match task {
            DvfsTask::Observe => self.observe(),
            DvfsTask::Plan(plan, leads) | DvfsTask::Auto(plan, leads) => self.follow(plan, leads),
        }
    }

    fn follow(&mut self, plan: Box<StagePlan>, leads: Box<Leads>) {
        let tables = tables(self.board.as_ref());
        let mut controller = Controller::new(plan, &tables, leads, self.counters.clone());
        loop {
            let wake_ns = controller.poll(now_ns(), self.board.as_mut());
            if let Some(trouble) = controller.trouble() {
                // What finds no room has been said before, or often enough.
                let _ = self.say.try_send(trouble);
            }
            match self.follower.next(&mut self.waiter, wake_ns) {
                Followed::Event(event) => controller.event(event, self.board.as_mut()),
                Followed::Plan(plan) => self.follower.give_back(controller.swap(plan)),
                Followed::TimedOut => {}
                Followed::Ended => break,
            }
        }
    }

    fn observe(&mut self) {
        let present = std::array::from_fn(|axis| !self.board.levels(axis).is_empty());
        self.counters.has(present);
        let mut read_ns = 0;
        loop {
            let now = now_ns();
            if now.saturating_sub(read_ns) >= WATCH_NS {
                self.read(present);
                read_ns = now;
            }
            match self.follower.next(&mut self.waiter, read_ns + WATCH_NS) {
                Followed::Event(_) => {
                    self.read(present);
                    read_ns = now_ns();
                }
                Followed::Plan(plan) => self.follower.give_back(plan),
                Followed::TimedOut => {}
                Followed::Ended => break,
            }
        }
    }

    /// Shows the clocks: what was asked for last, by whomever, where the hardware
    /// does not show its own.
    fn read(&mut self, present: [bool; AXES]) {
        for axis in (0..AXES).filter(|&axis| present[axis]) {
            let (asked, in_effect) = match self.board.read(axis) {
                Some((khz, true)) => (None, Some(khz)),
                Some((khz, false)) => (Some(khz), None),
                None => (None, None),
            };
            self.counters.shows(axis, asked, in_effect);
        }
    }
}

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct Keeper {
    handle: Option<JoinHandle<()>>,
    troubles: HopRx<Trouble>,
    guard: Option<Guard>,
    counters: Arc<Counters>,
    mode: &'static str,
    planner: Option<Planner>,
}

impl Keeper {
    /// Says what there is to say; a failure once the thread has panicked.
    pub fn look(&mut self, notices: &Notices) -> Option<PipelineError> {
        while let Some(trouble) = self.troubles.try_recv() {
            notices.say(sentence(trouble));
        }
        let ended = self.handle.take_if(|handle| handle.is_finished())?;
        let panicked = ended.join().is_err();
        panicked.then(|| PipelineError::Dvfs("panicked".into()))
    }

    /// Waits for the thread, which ends after infer, and gives the clocks back.
    pub fn end(mut self, notices: &Notices) -> (DvfsSummary, Option<PipelineError>) {
        let patience_ns = now_ns() + GRACE_NS;
        let mut failure = self.look(notices);
        while self.handle.is_some() && now_ns() < patience_ns {
            std::thread::sleep(Duration::from_millis(1));
            failure = failure.or(self.look(notices));
        }
        let auto = self.planner.take().and_then(Planner::end);
        let reports = self.guard.take().map(|guard| guard.give_back());
        for report in reports.iter().flatten() {
            report.complaints().into_iter().for_each(|s| notices.say(s));
        }
        let summary = DvfsSummary {
            auto,
            ..self.counters.summary(self.mode)
        };
        (summary, failure)
    }
}

/// What the user is told, once.
fn sentence(trouble: Trouble) -> String {
    let name = |axis: usize| match Axis::ALL[axis] {
        Axis::Cpu => "CPU",
        Axis::Gpu => "GPU",
        Axis::Emc => "memory",
    };
    match trouble {
        Trouble::Refused { axis, why, .. } => format!(
            "the {} clock is not taken ({why}); the last one that was stays, each further refusal is counted in the summary (e4 doctor says what is missing)",
            name(axis)
        ),
        Trouble::Clamped { axis, by, .. } => format!(
            "the {} clock is held down by {by}; the plan goes on within what is allowed",
            name(axis)
        ),
    }
}
