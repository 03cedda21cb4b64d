//! Ring-DVFS (Yeganeh-Khaksar et al., IEEE Embedded Systems Letters 2021,
//! doi 10.1109/LES.2020.3033187), as far as it is published. Full depth.
//!
//! Published: reinforcement learning picks a voltage-frequency level for each task
//! at run time, rewarded by the power saved and by the change of the task's
//! reliability, among the levels that meet the timing constraints. A task here is a
//! frame, a level one place of CPU and GPU table alike (the letter is about CPUs);
//! the memory clock is left to its governor.
//!
//! Not in what is public, and chosen here: tabular Q-learning over the slack of the
//! last frame (8 steps) and 8 levels; rate 0.1, discount 0.5, exploration from 1 to
//! 0.01, times 0.999 a frame; what counts is a frame's own time, not that in the
//! queue; the reward is the share of the power at the highest
//! level that is saved, less the rise of the probability of a fault, and -1 for a
//! frame that is late. Faults follow the usual model of that field (Zhu, Melhem,
//! Mosse 2004): rate 1e-6 a second at the highest clock, a thousandfold at the
//! lowest, exponential between; so rare that power decides.

use super::governors::Actmon;
use crate::board::SimBoard;
use crate::dvfs::{Event, EventKind};
use crate::plan::Axis;
use crate::plan::random::Random;
use crate::sim::outcome::float;
use crate::sim::stream::{Method, Pace};

const LEVELS: usize = 8;
const SLACKS: usize = 8;
const RATE: f64 = 0.1;
const DISCOUNT: f64 = 0.5;
const LEAST_EXPLORATION: f64 = 0.01;
const DECAY: f64 = 0.999;
const FAULTS_A_SECOND: f64 = 1e-6;
const FAULT_DECADES: f64 = 3.0;
const STREAM: u64 = 0x5269_6E67;

/// The learner.
#[derive(Debug)]
pub struct Ring {
    pace: Pace,
    random: Random,
    value: [[f64; LEVELS]; SLACKS],
    exploration: f64,
    slack: usize,
    level: usize,
    started_ns: u64,
    /// When the last decision was taken, and the energy up to then.
    since: (u64, f64),
    /// Power at the highest level, as far as it was seen, W.
    highest_w: f64,
    emc: Actmon,
}

impl Ring {
    /// A learner that knows nothing yet.
    #[must_use]
    pub fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pace,
            random: Random::new(seed, STREAM),
            value: [[0.0; LEVELS]; SLACKS],
            exploration: 1.0,
            slack: SLACKS - 1,
            level: LEVELS - 1,
            started_ns: 0,
            since: (0, 0.0),
            highest_w: 0.0,
            emc: Actmon::default(),
        }
    }

    /// The reward of the frame that has left, and its slack.
    fn judge(&mut self, board: &SimBoard) -> (f64, usize) {
        let latency_ns = board.now_ns().saturating_sub(self.started_ns);
        let span_s = float(board.now_ns().saturating_sub(self.since.0).max(1)) / 1e9;
        let watts = (board.energy_j() - self.since.1) / span_s;
        self.since = (board.now_ns(), board.energy_j());
        self.highest_w = self.highest_w.max(watts);
        let clock = board.description().relative(board.point())[Axis::Gpu.index()];
        let decades = FAULT_DECADES * (1.0 - clock);
        let faults = |rate: f64| rate * FAULTS_A_SECOND * float(latency_ns) / 1e9;
        let risk = faults(libm::exp10(decades)) - faults(1.0);
        let late = latency_ns > self.pace.deadline_ns;
        let reward = match late {
            true => -1.0,
            false => 1.0 - watts / self.highest_w - risk,
        };
        let used = float(latency_ns) / float(self.pace.deadline_ns.max(1));
        let free = (1.0 - used).clamp(0.0, 0.999) * STEPS;
        let steps = (1..SLACKS).filter(|&step| free >= place(step)).count();
        (reward, steps)
    }

    fn learn(&mut self, reward: f64, slack: usize) {
        let ahead = self.value[slack].iter().copied().fold(f64::MIN, f64::max);
        let old = &mut self.value[self.slack][self.level];
        *old += RATE * (reward + DISCOUNT * ahead - *old);
        self.slack = slack;
        self.exploration = (self.exploration * DECAY).max(LEAST_EXPLORATION);
    }

    fn decide(&mut self, board: &mut SimBoard) {
        let values = self.value[self.slack];
        self.level = match self.random.uniform() < self.exploration {
            true => self.random.below(LEVELS),
            // The highest of equals: nothing is known against it.
            false => (0..LEVELS).fold(0, |best, at| match values[at] >= values[best] {
                true => at,
                false => best,
            }),
        };
        for axis in [Axis::Cpu, Axis::Gpu] {
            let top = board.description().levels(axis).len().saturating_sub(1);
            board.set(axis, (top * self.level).div_ceil(LEVELS - 1));
        }
    }
}

const STEPS: f64 = 8.0;

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn place(step: usize) -> f64 {
    step as f64
}

impl Method for Ring {
    fn event(&mut self, event: Event, board: &mut SimBoard) {
        match event.kind {
            EventKind::Started { segment: 0, .. } => self.started_ns = event.at_ns,
            EventKind::Left { .. } => {
                let (reward, slack) = self.judge(board);
                self.learn(reward, slack);
                // For the task to come, so that the change has the idle stretch.
                self.decide(board);
            }
            EventKind::Started { .. } | EventKind::Dropped => {}
        }
    }

    fn poll(&mut self, _: u64, board: &mut SimBoard) -> u64 {
        self.emc.look(board);
        self.emc.next_ns
    }
}
