//! The energy of a run and of its frames, for the sink.
//!
//! A frame's stretch goes from the verdict on the frame before it to its own (the
//! first one's from its capture): the stretches lie end to end, idle time included,
//! so that nothing is counted twice. A stretch has a figure where it is at least as
//! long as the sensor's window and was measured all through.
//!
//! Guarantees: taking a result and looking a figure up allocate nothing and never
//! wait for the sensor.

use crate::monotonic::now_ns;
use crate::power::{Figure, Moment, Quantity, Sampler};
use crate::telemetry::FrameResult;
use crate::telemetry::energy::{EnergyEnd, EnergySummary};
use std::collections::VecDeque;

/// Lines that may wait for their frames' energy.
const HELD: usize = 64;
/// How long the end of a run waits for the sensor's last readings.
const PATIENCE_NS: u64 = 150_000_000;
/// A line is let go without a figure after this many windows.
const OVERDUE_WINDOWS: u64 = 8;

/// A result whose line waits for its energy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub result: FrameResult,
    /// Frames dropped up to it.
    pub drops: u64,
    from_ns: u64,
}

/// The energy of a run.
#[derive(Debug)]
pub struct RunEnergy {
    sampler: Sampler,
    /// Whether lines wait for their energy.
    per_frame: bool,
    held: VecDeque<Held>,
    first_ns: Option<u64>,
    last_ns: u64,
    first: Option<Moment>,
    results: u64,
}

impl RunEnergy {
    /// Of a run that `sampler` measures.
    #[must_use]
    pub fn new(sampler: Sampler, per_frame: bool) -> Self {
        Self {
            sampler,
            per_frame,
            held: VecDeque::with_capacity(HELD),
            first_ns: None,
            last_ns: 0,
            first: None,
            results: 0,
        }
    }

    /// Takes a result. True where its line is kept here for its energy.
    pub(super) fn take(&mut self, result: &FrameResult, drops: u64, lines: bool) -> bool {
        let first_ns = *self.first_ns.get_or_insert(result.captured_ns);
        let from_ns = self.last_ns.max(first_ns);
        self.last_ns = result.decided_ns.max(from_ns);
        self.results += 1;
        self.sampler.pull();
        if self.first.is_none() && self.sampler.history().is_settled(first_ns) {
            self.first = self.begin(first_ns);
        }
        let keeps = self.per_frame && lines;
        if keeps {
            self.held.push_back(Held {
                result: *result,
                drops,
                from_ns,
            });
        }
        keeps
    }

    /// The run's start, or the first moment after it that was measured.
    fn begin(&self, first_ns: u64) -> Option<Moment> {
        let since_ns = self.sampler.history().since_ns()?;
        self.sampler.moment(first_ns.max(since_ns))
    }

    /// The next line that need not wait any longer, with its energy; `last`: none
    /// need wait.
    pub(super) fn release(&mut self, last: bool) -> Option<(Held, Option<Figure>)> {
        let front = self.held.front()?;
        let history = self.sampler.history();
        let end_ns = front.result.decided_ns;
        let window_ns = self.sampler.facts().window.span_ns();
        let overdue_ns = end_ns.saturating_add(OVERDUE_WINDOWS.saturating_mul(window_ns));
        let ready = history.is_settled(end_ns)
            || history.is_too_short(end_ns.saturating_sub(front.from_ns))
            || self.held.len() == HELD
            || now_ns() > overdue_ns;
        if !ready && !last {
            return None;
        }
        let figure = history.between(front.from_ns, end_ns);
        let figure = figure.filter(|figure| self.has_moved(figure));
        self.held.pop_front().map(|held| (held, figure))
    }

    /// Whether a counter has counted at all: one that stands still measures nothing.
    fn has_moved(&self, figure: &Figure) -> bool {
        self.sampler.facts().quantity == Quantity::Power || figure.joules > 0.0
    }

    /// Waits a moment for the sensor's last readings.
    pub(super) fn settle(&mut self) {
        self.sampler.settle(self.last_ns, now_ns() + PATIENCE_NS);
    }

    /// The energy of the whole run.
    pub(super) fn finish(self) -> EnergyEnd {
        let mut notices: Vec<String> = self.sampler.complaint().into_iter().collect();
        let figure = self.figure();
        let facts = self.sampler.facts();
        let stands = figure.filter(|figure| !self.has_moved(figure));
        if let Some(figure) = stands {
            notices.push(format!(
                "no energy figure: the counter of {} has not moved in {:.1} s; choose another with --power-sensor",
                facts.sensor, figure.seconds
            ));
            return EnergyEnd {
                summary: None,
                notices,
            };
        }
        if figure.is_none() && self.results > 0 {
            notices.push(format!(
                "no energy figure: what {} measured of this run is shorter than its window of {}",
                facts.sensor, facts.window
            ));
        }
        EnergyEnd {
            summary: figure.and_then(|figure| self.summary(&figure)),
            notices,
        }
    }

    fn figure(&self) -> Option<Figure> {
        let first_ns = self.first_ns?;
        let first = self.first.or_else(|| self.begin(first_ns))?;
        let end_ns = self.last_ns.min(self.sampler.history().until_ns()?);
        let last = self.sampler.moment(end_ns)?;
        self.sampler.history().figure(&first, &last)
    }

    fn summary(&self, figure: &Figure) -> Option<EnergySummary> {
        let first_ns = self.first_ns?;
        let run_s = (self.last_ns - first_ns) as f64 / 1e9;
        let scale = run_s / figure.seconds / self.results as f64;
        let per_frame = |joules: f64| (self.results > 0).then_some(joules * scale);
        let facts = self.sampler.facts();
        let losses = self.sampler.losses();
        Some(EnergySummary {
            joules: figure.joules,
            error_joules: figure.error_joules,
            seconds: figure.seconds,
            missed_seconds: (run_s - figure.seconds).max(0.0),
            watts: figure.watts(),
            per_frame_joules: per_frame(figure.joules),
            per_frame_error_joules: per_frame(figure.error_joules),
            boundary: facts.boundary.to_string(),
            rails: facts.boundary.rails.clone(),
            sensor: facts.sensor.clone(),
            window_ms: facts.window.span_ns() as f64 / 1e6,
            window_stated: facts.window.is_stated(),
            readings: losses.readings,
            failed_readings: losses.failed,
        })
    }
}
