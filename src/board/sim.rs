//! A simulated board in virtual time: segments run at the clocks in effect, changes
//! take their time, the board warms up and throttles, its sensor blurs.
//!
//! Guarantees: the same seed and calls give the same bits; time moves only by
//! [`SimBoard::run`], [`SimBoard::advance`] and [`SimBoard::wait`]; energy is that of the whole span, with
//! nothing left out between; a stretch during which a clock changes is run in
//! pieces. Not guaranteed: anything beyond the board's [`Calibration`]. Cost: about
//! a microsecond a segment; it allocates at the start only.
//!
//! [`Calibration`]: super::Calibration

use super::description::Description;
use super::heat::Thermal;
use super::load::SegmentLoad;
use super::meter::Meter;
use super::table::SPREAD;
use crate::plan::random::Random;
use crate::plan::{Axis, ClockPoint};

const AXES: usize = 3;
const NS: f64 = 1e-9;

/// Duration and power of something at a clock point, leakage apart.
#[derive(Clone, Copy, Debug)]
struct Entry {
    seconds: f64,
    watts: f64,
    leak_w: f64,
    /// Share of the time in which each domain works.
    busy: [f64; AXES],
}

/// A segment that is under way.
#[derive(Clone, Copy, Debug)]
struct Job {
    segment: usize,
    /// How much longer, and how much dearer, it is than the table says.
    slow: f64,
    dear: f64,
    /// Share of it that is left.
    left: f64,
    start_ns: u64,
    start_j: f64,
}

/// One clock domain.
#[derive(Clone, Copy, Debug)]
struct Clock {
    level: usize,
    wish: usize,
    /// Level under way, and when it is in effect.
    under_way: Option<(usize, u64)>,
    /// Highest level that others allow.
    cap: usize,
    top: usize,
}

/// What a run of a segment took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ran {
    /// From start to end, ns.
    pub latency_ns: u64,
    /// True energy within the boundary, J.
    pub energy_j: f64,
}

/// A change that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The level that will be in effect: the wish, or what is allowed.
    pub level: usize,
    /// When it is in effect, ns.
    pub at_ns: u64,
}

/// A board that is not there.
#[derive(Clone, Debug)]
pub struct SimBoard {
    board: &'static Description,
    now_ns: u64,
    clocks: [Clock; AXES],
    thermal: Thermal,
    meter: Meter,
    random: Random,
    /// One list a segment and one for idling, by clock point.
    entries: Vec<Vec<Entry>>,
    idle: Vec<Entry>,
    job: Option<Job>,
    busy_s: [f64; AXES],
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a duration; the cast saturates"
)]
fn nanoseconds(seconds: f64) -> u64 {
    libm::round(seconds.max(0.0) / NS) as u64
}

#[expect(clippy::cast_precision_loss, reason = "spans far below 2^53 ns")]
fn seconds(ns: u64) -> f64 {
    ns as f64 * NS
}

impl SimBoard {
    /// A cool board at its highest clocks that is to run these segments.
    #[must_use]
    pub fn new(board: &'static Description, loads: &[SegmentLoad], seed: u64) -> Self {
        let points = board.points();
        let law = board.power();
        let entry = |load: &SegmentLoad, point: &ClockPoint| {
            let [latency_s, energy_j] = board.cost_at(load, *point, 0.0);
            let leaking_j = board.cost_at(load, *point, 1.0)[1];
            let busy = board
                .timing
                .busy(&load.work(board), board.relative(*point))
                .busy_s
                .map(|busy_s| busy_s / latency_s);
            Entry {
                // The graphics processor is at work while it waits for memory, too.
                busy: [busy[0], busy[1].max(busy[2]), busy[2]],
                seconds: latency_s,
                watts: energy_j / latency_s,
                leak_w: (leaking_j - energy_j) / latency_s,
            }
        };
        let idle = |point: &ClockPoint| {
            let u = board.relative(*point);
            let watts = law.idle_w(u, 0.0);
            Entry {
                seconds: f64::INFINITY,
                watts,
                leak_w: law.idle_w(u, 1.0) - watts,
                busy: [0.0; AXES],
            }
        };
        let clock = |axis| {
            let top = board.levels(axis).len().saturating_sub(1);
            Clock {
                level: top,
                wish: top,
                under_way: None,
                cap: top,
                top,
            }
        };
        let window_ns = nanoseconds(board.sensor.window_ms * 1e-3);
        Self {
            board,
            now_ns: 0,
            clocks: Axis::ALL.map(clock),
            thermal: Thermal::new(board.heat, nanoseconds(board.heat.step_s)),
            meter: Meter::new(board.sensor, window_ns, Random::new(seed, 1)),
            random: Random::new(seed, 0),
            entries: loads
                .iter()
                .map(|load| points.iter().map(|p| entry(load, p)).collect())
                .collect(),
            idle: points.iter().map(idle).collect(),
            job: None,
            busy_s: [0.0; AXES],
        }
    }

    /// Its description.
    #[must_use]
    pub fn description(&self) -> &'static Description {
        self.board
    }

    /// Virtual time, ns.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Level of an axis that is in effect.
    #[must_use]
    pub fn level(&self, axis: Axis) -> usize {
        self.clocks[axis.index()].level
    }

    /// Clocks in effect.
    #[must_use]
    pub fn point(&self) -> ClockPoint {
        ClockPoint::new(Axis::ALL.map(|axis| self.board.levels(axis)[self.level(axis)]))
    }

    /// The level that was asked for last.
    #[must_use]
    pub fn wish(&self, axis: Axis) -> usize {
        self.clocks[axis.index()].wish
    }

    /// Time in which each domain has worked since the start, s: CPU, GPU (waits for
    /// memory included), memory.
    #[must_use]
    pub fn busy_s(&self) -> [f64; AXES] {
        self.busy_s
    }

    /// The change of an axis that is under way.
    #[must_use]
    pub fn under_way(&self, axis: Axis) -> Option<Asked> {
        let clock = &self.clocks[axis.index()];
        clock.under_way.map(|(level, at_ns)| Asked { level, at_ns })
    }

    /// Highest level that heat and others allow.
    #[must_use]
    pub fn allowed(&self, axis: Axis) -> usize {
        let clock = &self.clocks[axis.index()];
        let taken = match axis {
            Axis::Emc => 0,
            _ => self.thermal.taken,
        };
        clock.cap.min(clock.top.saturating_sub(taken))
    }

    /// Asks for a level; one beyond the table is the highest. A change under way is
    /// replaced.
    pub fn set(&mut self, axis: Axis, level: usize) -> Asked {
        let clock = &mut self.clocks[axis.index()];
        clock.wish = level.min(clock.top);
        self.aim(axis)
    }

    /// Others allow no more than `level` from now on: a scripted cap.
    pub fn cap(&mut self, axis: Axis, level: usize) {
        let clock = &mut self.clocks[axis.index()];
        clock.cap = level.min(clock.top);
        self.aim(axis);
    }

    /// Starts the change to what is wished and allowed.
    fn aim(&mut self, axis: Axis) -> Asked {
        let allowed = self.allowed(axis);
        let clock = &self.clocks[axis.index()];
        let goal = clock.wish.min(allowed);
        let at_ns = match clock.under_way {
            Some((level, at_ns)) if level == goal => at_ns,
            _ if clock.level == goal => self.now_ns,
            _ => self.now_ns + self.change_ns(axis, clock.level, goal),
        };
        let clock = &mut self.clocks[axis.index()];
        clock.under_way = (clock.level != goal).then_some((goal, at_ns));
        Asked { level: goal, at_ns }
    }

    fn change_ns(&mut self, axis: Axis, from: usize, to: usize) -> u64 {
        let khz = self.board.levels(axis);
        let median_ms = self.board.change_ms(axis, khz[from], khz[to]);
        let jitter = self.board.domain(axis).change.jitter;
        let share = 1.0 + jitter * (2.0 * self.random.uniform() - 1.0);
        nanoseconds(median_ms * share * 1e-3)
    }

    /// Runs a segment from now on; time passes.
    ///
    /// `None` where there is no such segment.
    pub fn run(&mut self, segment: usize) -> Option<Ran> {
        match self.begin(segment) {
            true => self.advance(u64::MAX),
            false => None,
        }
    }

    /// Starts a segment in place of one that is under way; false where there is no
    /// such segment.
    pub fn begin(&mut self, segment: usize) -> bool {
        if segment >= self.entries.len() {
            return false;
        }
        let factor = |spread: f64, normal: f64| (1.0 + spread * normal).max(0.5);
        let slow = factor(SPREAD[0], self.random.normal());
        self.job = Some(Job {
            segment,
            slow,
            dear: factor(SPREAD[1], self.random.normal()) / slow,
            left: 1.0,
            start_ns: self.now_ns,
            start_j: self.meter.total_j,
        });
        true
    }

    /// Goes on with the segment under way, to its end or up to `until_ns`, whichever
    /// comes first (or the end of a standstill a little later). What the segment
    /// took, once it has ended; `None` also where none is under way.
    pub fn advance(&mut self, until_ns: u64) -> Option<Ran> {
        let mut job = self.job?;
        while job.left > 0.0 {
            if self.now_ns >= until_ns {
                self.job = Some(job);
                return None;
            }
            let entry = self.entries[job.segment][self.place()];
            let whole_s = entry.seconds * job.slow;
            let done_ns = self.now_ns + nanoseconds(whole_s * job.left).max(1);
            let event_ns = self.next_event_ns().max(self.now_ns);
            let end_ns = done_ns.min(event_ns).min(until_ns);
            job.left = match end_ns == done_ns {
                true => 0.0,
                false => (job.left - seconds(end_ns - self.now_ns) / whole_s).max(0.0),
            };
            self.pass(end_ns, entry, job.dear);
            let stall_ns = self.events();
            if stall_ns > 0 && job.left > 0.0 {
                self.pass(self.now_ns + stall_ns, self.idle[self.place()], 1.0);
            }
        }
        self.job = None;
        Some(Ran {
            latency_ns: self.now_ns - job.start_ns,
            energy_j: self.meter.total_j - job.start_j,
        })
    }

    /// Idles until `until_ns`; a time that is over is now.
    pub fn wait(&mut self, until_ns: u64) {
        while self.now_ns < until_ns {
            let entry = self.idle[self.place()];
            let end_ns = until_ns.min(self.next_event_ns().max(self.now_ns));
            self.pass(end_ns, entry, 1.0);
            self.events();
        }
    }

    /// What the power sensor shows now, W.
    pub fn watts(&mut self) -> f64 {
        self.meter.watts()
    }

    /// True energy since the start, J.
    #[must_use]
    pub fn energy_j(&self) -> f64 {
        self.meter.total_j
    }

    /// Temperature, degrees Celsius.
    #[must_use]
    pub fn degrees(&self) -> f64 {
        self.thermal.degrees
    }

    /// Place of the clocks in effect among all points.
    fn place(&self) -> usize {
        self.clocks
            .iter()
            .fold(0, |place, clock| place * (clock.top + 1) + clock.level)
    }

    fn next_event_ns(&self) -> u64 {
        let changes = self.clocks.iter().filter_map(|clock| clock.under_way);
        let changes = changes.map(|(_, at_ns)| at_ns);
        changes.fold(self.thermal.next_ns(), u64::min)
    }

    /// Time passes until `end_ns` in a state.
    fn pass(&mut self, end_ns: u64, entry: Entry, factor: f64) {
        let watts = factor * (entry.watts + entry.leak_w * self.thermal.leak());
        let span_s = seconds(end_ns - self.now_ns);
        self.meter.pass(self.now_ns, end_ns, watts);
        self.thermal.pass(span_s, watts);
        for (sum, share) in self.busy_s.iter_mut().zip(entry.busy) {
            *sum += share * span_s;
        }
        self.now_ns = end_ns;
    }

    /// What is due now takes effect; for how long domains stand still, ns.
    fn events(&mut self) -> u64 {
        let mut stall_ns = 0;
        for axis in Axis::ALL {
            let clock = &mut self.clocks[axis.index()];
            if let Some((level, at_ns)) = clock.under_way
                && at_ns <= self.now_ns
            {
                clock.level = level;
                clock.under_way = None;
                stall_ns += nanoseconds(self.board.domain(axis).change.stall_ms * 1e-3);
            }
        }
        let most = self.clocks[0].top.max(self.clocks[1].top);
        if self.thermal.look(self.now_ns, most) {
            self.aim(Axis::Cpu);
            self.aim(Axis::Gpu);
        }
        stall_ns
    }
}

#[cfg(test)]
mod tests;
