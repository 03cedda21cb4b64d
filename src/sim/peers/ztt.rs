//! zTT (Kim et al., MobiSys 2021): a deep Q-network sets the clocks of CPU and GPU
//! once a second. Full depth.
//!
//! As in the authors' artifact (github.com/ztt-21/zTT, `Jetson_tx2/agent.py`): the
//! state is (CPU level, GPU level, CPU power, GPU power, CPU temperature, GPU
//! temperature, frames a second), powers in steps of 100 mW, levels counted to 11;
//! nine actions, three levels of each clock (a third, two thirds and all of the
//! table); a network 7-6-6-9 with Adam at 0.05; memory 500, batches of 64, training
//! from 200 samples on; each sample ends its episode, so the value is the reward;
//! a reward below 0 or above 1 is remembered three times; exploration 1, times 0.95
//! at each training. Reward: min(1, fps / target), plus 0.2 tanh(50 degrees - T) or
//! -2 from 50 degrees on, plus 2 / power. Too hot, it draws a lower level of each
//! clock; 5 degrees cool and too slow, it draws a higher one in 3 of 10 steps.
//!
//! The target is the rate of the frames. The memory clock is left to its governor,
//! as there. The simulated board has one temperature.

use super::governors::{Activity, Actmon};
use super::network::Network;
use crate::board::SimBoard;
use crate::dvfs::{Event, EventKind};
use crate::plan::Axis;
use crate::plan::random::Random;
use crate::sim::outcome::float;
use crate::sim::stream::{Method, Pace};
use std::collections::VecDeque;

const SECOND_NS: u64 = 1_000_000_000;
const STATE: usize = 7;
const ACTIONS: usize = 9;
const MEMORY: usize = 500;
const BATCH: usize = 64;
const TRAIN_START: usize = 200;
const RATE: f64 = 0.05;
const EPSILON_DECAY: f64 = 0.95;
const TARGET_DEGREES: f64 = 50.0;
const BETA: f64 = 2.0;
const STREAM: u64 = 0x7A54_5421;

/// The agent.
#[derive(Debug)]
pub struct Ztt {
    network: Network,
    random: Random,
    memory: VecDeque<([f64; STATE], usize, f64)>,
    epsilon: f64,
    state: [f64; STATE],
    action: usize,
    target_fps: f64,
    frames: u64,
    next_ns: u64,
    activity: [Activity; 2],
    emc: Actmon,
}

impl Ztt {
    /// An agent that has learned nothing yet.
    #[must_use]
    pub fn new(pace: Pace, seed: u64) -> Self {
        let mut random = Random::new(seed, STREAM);
        Self {
            network: Network::new(&[STATE, 6, 6, ACTIONS], &mut random),
            random,
            memory: VecDeque::with_capacity(MEMORY),
            epsilon: 1.0,
            state: [11.0, 11.0, 20.0, 27.0, 40.0, 40.0, 30.0],
            action: ACTIONS - 1,
            target_fps: 1e9 / float(pace.interval_ns.max(1)),
            frames: 0,
            next_ns: SECOND_NS,
            activity: [Activity::default(); 2],
            emc: Actmon::default(),
        }
    }

    /// What it sees, once a second.
    fn look(&mut self, board: &SimBoard) -> [f64; STATE] {
        let mut power = [0.0; 2];
        let mut level = [0.0; 2];
        for (k, axis) in [Axis::Cpu, Axis::Gpu].into_iter().enumerate() {
            let (_, share) = self.activity[k].since(board, axis);
            let mut busy = [0.0; 3];
            busy[axis.index()] = share;
            let watts = board.description().domain_w(axis, board.point(), busy);
            power[k] = libm::round(10.0 * watts).max(0.0);
            let top = board.description().levels(axis).len().saturating_sub(1);
            level[k] = 11.0 * place(board.level(axis)) / place(top.max(1));
        }
        let degrees = board.degrees();
        let fps = float(self.frames);
        self.frames = 0;
        [
            level[0], level[1], power[0], power[1], degrees, degrees, fps,
        ]
    }

    fn reward(&self, state: &[f64; STATE]) -> f64 {
        let [.., degrees, fps] = *state;
        let thermal = match degrees >= TARGET_DEGREES {
            true => -2.0,
            false => 0.2 * libm::tanh(TARGET_DEGREES - degrees),
        };
        let power = match state[2] + state[3] {
            // What the artifact takes for a reading that is missing.
            sum if sum <= 0.0 => 33.0,
            sum => sum,
        };
        (fps / self.target_fps).min(1.0) + thermal + BETA / power
    }

    fn remember(&mut self, reward: f64) {
        let copies = if (0.0..=1.0).contains(&reward) { 1 } else { 3 };
        for _ in 0..copies {
            if self.memory.len() == MEMORY {
                self.memory.pop_front();
            }
            self.memory.push_back((self.state, self.action, reward));
        }
    }

    fn learn(&mut self) {
        if self.memory.len() < TRAIN_START {
            return;
        }
        self.epsilon *= EPSILON_DECAY;
        let batch: Vec<usize> = (0..BATCH)
            .map(|_| self.random.below(self.memory.len()))
            .collect();
        let sample = |&at: &usize| {
            let (state, action, reward) = &self.memory[at];
            (&state[..], *action, *reward)
        };
        let batch: Vec<_> = batch.iter().map(sample).collect();
        self.network.train(batch.into_iter(), RATE);
    }

    /// Thirds of CPU and GPU table, 0 to 2.
    fn choose(&mut self) -> [usize; 2] {
        let [cpu, gpu, _, _, degrees, _, fps] = self.state;
        let third = |level: f64| match level {
            level if level < 4.0 => 0,
            level if level < 8.0 => 1,
            _ => 2,
        };
        let now = [third(cpu), third(gpu)];
        if degrees >= TARGET_DEGREES {
            return now.map(|third| self.random.below(third.max(1)));
        }
        let slow = fps < self.target_fps && TARGET_DEGREES - degrees >= 5.0;
        if slow && self.random.uniform() <= 0.3 {
            return now.map(|third| third + self.random.below(3 - third));
        }
        let action = match self.random.uniform() <= self.epsilon {
            true => self.random.below(ACTIONS),
            false => best(&self.network.predict(&self.state)),
        };
        [action / 3, action % 3]
    }

    fn step(&mut self, board: &mut SimBoard) {
        let next = self.look(board);
        let reward = self.reward(&next);
        self.remember(reward);
        self.learn();
        self.state = next;
        let thirds = self.choose();
        self.action = 3 * thirds[0] + thirds[1];
        for (axis, third) in [Axis::Cpu, Axis::Gpu].into_iter().zip(thirds) {
            let levels = board.description().levels(axis).len();
            board.set(axis, (levels * (third + 1)).div_ceil(3).saturating_sub(1));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place in a short table")]
fn place(level: usize) -> f64 {
    level as f64
}

/// Place of the largest value, the first of equals.
fn best(values: &[f64]) -> usize {
    let better = |best: usize, at: usize| match values[at] > values[best] {
        true => at,
        false => best,
    };
    (0..values.len()).fold(0, better)
}

impl Method for Ztt {
    fn event(&mut self, event: Event, _: &mut SimBoard) {
        self.frames += u64::from(matches!(event.kind, EventKind::Left { .. }));
    }

    fn poll(&mut self, now_ns: u64, board: &mut SimBoard) -> u64 {
        if now_ns >= self.next_ns {
            self.next_ns = now_ns + SECOND_NS;
            self.step(board);
        }
        self.emc.look(board);
        self.next_ns.min(self.emc.next_ns)
    }
}
