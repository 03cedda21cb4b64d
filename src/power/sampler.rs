//! The thread that reads a sensor, and what its reader makes of the marks.
//!
//! Guarantees: the sensor is read no more often than it refreshes; each reading is
//! stamped before and after; the hand-over is a ring that neither side ever waits
//! for. A ring that its reader leaves full costs resolution in time, never energy:
//! marks are sums. After the start neither side allocates. Dropping the sampler ends
//! the thread.
//!
//! Not guaranteed: a reading at its time. The thread gives way to others; what it
//! comes late by widens the bar.

use super::boundary::Boundary;
use super::error::{PowerError, RailFault};
use super::figure::{Figure, Mark};
use super::history::{History, Moment};
use super::integrate::Integrator;
use super::select::fix;
use super::sensor::{PowerSensor, Quantity, Window};
use crate::handoff::ring::{RingRx, RingTx, ring};
use crate::monotonic::now_ns;
use crate::rt::nice::give_way;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Marks that may wait for their reader.
const WAITING: usize = 4_096;
/// Marks that are kept to look energy up in.
const KEPT: usize = 16_384;
/// Shortest time from one reading to the next.
const LEAST_NS: u64 = 1_000_000;
/// The sampler's share of its core, as `nice` counts.
const NICE: u8 = 5;

/// What a figure must be told with.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Kind and place of the sensor.
    pub sensor: String,
    /// What is added up.
    pub boundary: Boundary,
    /// The time that a reading blurs over.
    pub window: Window,
    /// Whether its readings are power or a counter of energy.
    pub quantity: Quantity,
}

/// Readings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Readings that gave energy.
    pub readings: u64,
    /// Readings that failed.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    readings: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
enum Event {
    Mark(Mark),
    /// The first reading that failed.
    Failed(RailFault),
}

/// A running sensor, and the energy it has measured so far.
#[derive(Debug)]
pub struct Sampler {
    facts: Facts,
    files: Vec<Vec<String>>,
    shared: Arc<Shared>,
    events: RingRx<Event>,
    history: History,
    failure: Option<RailFault>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts to read `sensor`: once at once, so that all time from now on is covered.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sensor: Box<dyn PowerSensor>) -> Result<Self, PowerError> {
        Self::begin(sensor, None)
    }

    fn begin(sensor: Box<dyn PowerSensor>, tap: Option<RingTx<Mark>>) -> Result<Self, PowerError> {
        let window = sensor.window();
        let facts = Facts {
            sensor: sensor.name().to_owned(),
            boundary: sensor.boundary().clone(),
            window,
            quantity: sensor.quantity(),
        };
        let files = (0..sensor.rails().len()).map(|rail| sensor.files(rail).to_vec());
        let files = files.collect();
        let history = History::new(KEPT, &window, sensor.accuracy());
        let shared = Arc::new(Shared::default());
        let (tx, events) = ring(WAITING);
        let mut work = Work::new(sensor, tx, shared.clone());
        work.tap = tap;
        work.read();
        let thread = std::thread::Builder::new().name("e4-power".into());
        let thread = thread
            .spawn(move || work.run())
            .map_err(|error| PowerError::Thread(error.to_string()))?;
        Ok(Self {
            facts,
            files,
            shared,
            events,
            history,
            failure: None,
            thread: Some(thread),
        })
    }

    /// As [`start`](Self::start), with a second reader of the same readings.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_tapped(sensor: Box<dyn PowerSensor>) -> Result<(Self, EnergyTap), PowerError> {
        let (tx, marks) = ring(WAITING);
        let tap = EnergyTap {
            marks,
            history: History::new(KEPT, &sensor.window(), sensor.accuracy()),
            window: sensor.window(),
        };
        Ok((Self::begin(sensor, Some(tx))?, tap))
    }

    /// Sensor, boundary and window.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Takes over what the thread has measured. Never waits.
    pub fn pull(&mut self) {
        while let Some(event) = self.events.pop() {
            match event {
                Event::Mark(mark) => self.history.push(mark),
                Event::Failed(fault) => self.failure = self.failure.or(Some(fault)),
            }
        }
    }

    /// What has been pulled.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Pulls until all that bears on the energy up to `at_ns` is known; false where
    /// that does not come about by `deadline_ns`.
    pub fn settle(&mut self, at_ns: u64, deadline_ns: u64) -> bool {
        loop {
            self.pull();
            if self.history.is_settled(at_ns) {
                return true;
            }
            let left = deadline_ns.saturating_sub(now_ns());
            if left == 0 {
                return false;
            }
            std::thread::sleep(Duration::from_nanos(left.min(LEAST_NS)));
        }
    }

    /// Energy from `from_ns` to `to_ns` ([`crate::monotonic`]), waited for up to a
    /// second and four windows. `None` where the stretch is shorter than the window
    /// or has a gap.
    pub fn settled(&mut self, from_ns: u64, to_ns: u64) -> Option<Figure> {
        let patience = 1_000_000_000 + 4 * self.facts.window.span_ns();
        self.settle(to_ns, now_ns().saturating_add(patience));
        self.history.between(from_ns, to_ns)
    }

    /// The energy at `at_ns`, for stretches of any length to begin with.
    #[must_use]
    pub fn moment(&self, at_ns: u64) -> Option<Moment> {
        self.history.moment(at_ns)
    }

    /// Readings so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses {
            readings: self.shared.readings.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
        }
    }

    /// A sentence about the readings that failed, if there were any.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let RailFault { rail, part, fault } = self.failure?;
        let Losses { readings, failed } = self.losses();
        let file = self
            .files
            .get(rail)
            .and_then(|files| files.get(part))
            .map_or("", String::as_str);
        Some(format!(
            "{}: {failed} of {} readings failed, the first because {file} could not be used ({fault}){}; \
             their time is a gap in the energy",
            self.facts.sensor,
            readings + failed,
            fix(fault, file),
        ))
    }
}

/// A second reader of a sampler's readings, on another thread than the first.
#[derive(Debug)]
pub struct EnergyTap {
    marks: RingRx<Mark>,
    history: History,
    window: Window,
}

impl EnergyTap {
    /// Takes over what has been measured. Never waits.
    pub fn pull(&mut self) {
        while let Some(mark) = self.marks.pop() {
            self.history.push(mark);
        }
    }

    /// What has been pulled.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The time that a reading blurs over.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A sensor that panics has nothing to give back.
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
#[derive(Debug)]
struct Work {
    sensor: Box<dyn PowerSensor>,
    values: Vec<i64>,
    integrator: Integrator,
    events: RingTx<Event>,
    /// A second reader.
    tap: Option<RingTx<Mark>>,
    tap_held_back_w: f64,
    shared: Arc<Shared>,
    period_ns: u64,
    /// Spread of the marks that found the ring full.
    held_back_w: f64,
    said: bool,
}

impl Work {
    fn new(sensor: Box<dyn PowerSensor>, events: RingTx<Event>, shared: Arc<Shared>) -> Self {
        Self {
            values: vec![0; sensor.rails().len()],
            integrator: Integrator::new(sensor.quantity(), &sensor.window()),
            period_ns: sensor.window().refresh_ns.max(LEAST_NS),
            sensor,
            events,
            tap: None,
            tap_held_back_w: 0.0,
            shared,
            held_back_w: 0.0,
            said: false,
        }
    }

    fn run(mut self) {
        // A kernel that refuses even this leaves the thread at its normal share.
        let _ = give_way(NICE);
        let mut due_ns = now_ns();
        while !self.shared.stop.load(Ordering::Relaxed) {
            due_ns = due_ns.saturating_add(self.period_ns).max(now_ns());
            self.wait(due_ns);
            self.read();
        }
    }

    fn wait(&self, due_ns: u64) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let left = due_ns.saturating_sub(now_ns());
            if left == 0 {
                return;
            }
            std::thread::park_timeout(Duration::from_nanos(left));
        }
    }

    fn read(&mut self) {
        let began_ns = now_ns();
        let read = self.sensor.read(&mut self.values);
        let ended_ns = now_ns();
        match read {
            Ok(()) => {
                count(&self.shared.readings);
                let micro = self.values.iter().map(|&value| value as f64).sum();
                let quantum = self.sensor.quantum();
                let mark = self.integrator.reading(began_ns, ended_ns, micro, quantum);
                if let Some(mark) = mark {
                    self.hand_over(mark);
                }
            }
            Err(fault) => {
                count(&self.shared.failed);
                self.integrator.fault(fault.fault);
                if !self.said {
                    self.said = self.events.push(Event::Failed(fault)).is_ok();
                }
            }
        }
    }

    /// A mark that finds the ring full is left out: the next one has its energy.
    fn hand_over(&mut self, mut mark: Mark) {
        if let Some(tap) = &mut self.tap {
            let mut mark = mark;
            mark.spread_w += self.tap_held_back_w;
            self.tap_held_back_w = match tap.push(mark) {
                Ok(()) => 0.0,
                Err(_) => mark.spread_w,
            };
        }
        mark.spread_w += self.held_back_w;
        self.held_back_w = match self.events.push(Event::Mark(mark)) {
            Ok(()) => 0.0,
            Err(_) => mark.spread_w,
        };
    }
}

/// Adds one; this thread is the counter's only writer.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
