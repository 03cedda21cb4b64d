//! The kernel's governors, with the constants of its source; nobody tuned them.
//!
//! - CPU, schedutil (`kernel/sched/cpufreq_schedutil.c`, `kernel/sched/pelt.c`):
//!   the lowest clock at or above 1.25 * highest * utilisation, the utilisation being
//!   PELT's (half-life 32 ms, invariant of the clock), looked at when the task wakes,
//!   sleeps and at each tick (4 ms), at most every 10 ms (the default rate limit for
//!   Tegra's stated transition latency of 300 us). A thread that runs a segment counts
//!   as running all through: it spins while it waits for the GPU, which is CUDA's
//!   default where there are more cores than contexts. `util_est` is left out: the
//!   kernels of Nano and TX2 (4.9) do not have it.
//! - GPU, nvhost_podgov (`drivers/devfreq/governor_pod_scaling.c` of NVIDIA's kernel):
//!   load_max 900, load_target 700, bias 80, smooth 10, damp 7, block_window 50 ms,
//!   slowdown_delay 10 ms; it estimates whenever the GPU becomes busy or idle.
//! - memory, actmon (`drivers/devfreq/tegra30-devfreq.c`, device MCALL of Tegra124):
//!   sampled every 12 ms, average over 64 samples, target = average / 60 %, boost up
//!   200 % plus 16 MHz above 60 %, down 50 % below 40 %. Orin's firmware decides by
//!   bandwidth requests instead; no source of it is public, so actmon stands in.

use crate::board::SimBoard;
use crate::dvfs::{Event, EventKind};
use crate::plan::Axis;
use crate::sim::outcome::float;
use crate::sim::stream::Method;

const MS: u64 = 1_000_000;

/// Activity of a domain since it was last asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    at_ns: u64,
    busy_s: f64,
}

impl Activity {
    /// Time since the last call, s, and the share of it that was work.
    pub fn since(&mut self, board: &SimBoard, axis: Axis) -> (f64, f64) {
        let (now_ns, busy_s) = (board.now_ns(), board.busy_s()[axis.index()]);
        let span_s = float(now_ns.saturating_sub(self.at_ns)) / 1e9;
        let share = match span_s > 0.0 {
            true => ((busy_s - self.busy_s) / span_s).clamp(0.0, 1.0),
            false => 0.0,
        };
        (self.at_ns, self.busy_s) = (now_ns, busy_s);
        (span_s, share)
    }
}

/// Asks for the lowest clock at or above `khz`, or the highest.
fn at_least(board: &mut SimBoard, axis: Axis, khz: f64) {
    let levels = board.description().levels(axis);
    let level = levels.partition_point(|&level| f64::from(level) < khz);
    let level = level.min(levels.len().saturating_sub(1));
    if level != board.wish(axis) {
        board.set(axis, level);
    }
}

fn highest(board: &SimBoard, axis: Axis) -> f64 {
    f64::from(
        board
            .description()
            .levels(axis)
            .last()
            .copied()
            .unwrap_or(0),
    )
}

fn current(board: &SimBoard, axis: Axis) -> f64 {
    f64::from(board.point().khz()[axis.index()])
}

/// schedutil.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedutil {
    at_ns: u64,
    /// Whether the task has run since then.
    ran: bool,
    util: f64,
    next_ns: u64,
    /// Next tick, while the task runs.
    pub tick_ns: Option<u64>,
}

impl Schedutil {
    const HALF_LIFE_S: f64 = 0.032;
    const RATE_LIMIT_NS: u64 = 10 * MS;
    const TICK_NS: u64 = 4 * MS;

    pub fn look(&mut self, board: &mut SimBoard, running: bool) {
        let now_ns = board.now_ns();
        let scale = current(board, Axis::Cpu) / highest(board, Axis::Cpu);
        let span_s = float(now_ns.saturating_sub(self.at_ns)) / 1e9;
        let share = f64::from(u8::from(self.ran));
        (self.at_ns, self.ran) = (now_ns, running);
        let decay = libm::exp2(-span_s / Self::HALF_LIFE_S);
        self.util = self.util * decay + (1.0 - decay) * share * scale;
        self.tick_ns = running.then_some(now_ns + Self::TICK_NS);
        if now_ns >= self.next_ns {
            self.next_ns = now_ns + Self::RATE_LIMIT_NS;
            let khz = 1.25 * highest(board, Axis::Cpu) * self.util;
            at_least(board, Axis::Cpu, khz);
        }
    }
}

/// nvhost_podgov.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Podgov {
    activity: Activity,
    idle_avg: f64,
    freq_avg: f64,
    last_scale_ns: u64,
    /// When it looks again at a GPU that is idle.
    pub timer_ns: Option<u64>,
}

impl Podgov {
    const LOAD_MAX: f64 = 900.0;
    const LOAD_TARGET: f64 = 700.0;
    const BIAS: f64 = 80.0;
    const SMOOTH: f64 = 10.0;
    const DAMP: f64 = 7.0;
    const BLOCK_WINDOW_NS: u64 = 50 * MS;
    const SLOWDOWN_DELAY_NS: u64 = 10 * MS;

    pub fn look(&mut self, board: &mut SimBoard, busy: bool) {
        let now_ns = board.now_ns();
        let (span_s, share) = self.activity.since(board, Axis::Gpu);
        if span_s <= 0.0 {
            return;
        }
        let idle = 1000.0 * (1.0 - share);
        self.idle_avg = (Self::SMOOTH * self.idle_avg + idle) / (Self::SMOOTH + 1.0);
        self.timer_ns = (!busy).then_some(now_ns + Self::SLOWDOWN_DELAY_NS);
        if now_ns.saturating_sub(self.last_scale_ns) < Self::BLOCK_WINDOW_NS {
            return;
        }
        let before = board.wish(Axis::Gpu);
        let khz = self.request(board, idle);
        at_least(board, Axis::Gpu, khz);
        if board.wish(Axis::Gpu) != before {
            self.last_scale_ns = now_ns;
        }
    }

    fn request(&mut self, board: &SimBoard, idle: f64) -> f64 {
        let freq = f64::from(board.description().levels(Axis::Gpu)[board.wish(Axis::Gpu)]);
        let most = highest(board, Axis::Gpu) / 3.0;
        let load = 1000.0 - self.idle_avg;
        let (boost, damp) = if 1000.0 - idle > Self::LOAD_MAX {
            (most, 10.0)
        } else {
            let over = (load - Self::LOAD_TARGET) / Self::LOAD_TARGET;
            ((over * Self::BIAS * freq / 100.0).min(most), Self::DAMP)
        };
        let wanted = freq + boost;
        self.freq_avg = (self.freq_avg * Self::SMOOTH + wanted) / (Self::SMOOTH + 1.0);
        (damp * wanted + (10.0 - damp) * self.freq_avg) / 10.0
    }
}

/// actmon.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Actmon {
    activity: Activity,
    average: f64,
    boost: f64,
    /// When it samples next.
    pub next_ns: u64,
}

impl Actmon {
    const PERIOD_NS: u64 = 12 * MS;
    const SAMPLES: f64 = 64.0;
    const STEP_KHZ: f64 = 16_000.0;

    pub fn look(&mut self, board: &mut SimBoard) {
        if board.now_ns() < self.next_ns {
            return;
        }
        self.next_ns = board.now_ns() + Self::PERIOD_NS;
        let (_, share) = self.activity.since(board, Axis::Emc);
        self.average += (share * current(board, Axis::Emc) - self.average) / Self::SAMPLES;
        if share > 0.6 {
            self.boost = (2.0 * self.boost + Self::STEP_KHZ).min(highest(board, Axis::Emc));
        } else if share < 0.4 {
            self.boost *= 0.5;
            if self.boost < Self::STEP_KHZ / 2.0 {
                self.boost = 0.0;
            }
        }
        at_least(board, Axis::Emc, self.average / 0.6 + self.boost);
    }
}

/// All three.
#[derive(Clone, Copy, Debug, Default)]
pub struct Governors {
    cpu: Schedutil,
    gpu: Podgov,
    emc: Actmon,
    running: bool,
}

impl Method for Governors {
    fn event(&mut self, event: Event, board: &mut SimBoard) {
        self.running = matches!(event.kind, EventKind::Started { .. });
        self.cpu.look(board, self.running);
        // Segments follow each other too closely for the GPU to count as idle between.
        if !matches!(event.kind, EventKind::Started { segment: 1.., .. }) {
            self.gpu.look(board, self.running);
        }
    }

    fn poll(&mut self, now_ns: u64, board: &mut SimBoard) -> u64 {
        if self.cpu.tick_ns.is_some_and(|at_ns| at_ns <= now_ns) {
            self.cpu.look(board, self.running);
        }
        if self.gpu.timer_ns.is_some_and(|at_ns| at_ns <= now_ns) {
            self.gpu.timer_ns = None;
            self.gpu.look(board, false);
        }
        self.emc.look(board);
        let timers = [self.cpu.tick_ns, self.gpu.timer_ns];
        timers
            .into_iter()
            .flatten()
            .fold(self.emc.next_ns, u64::min)
    }
}
