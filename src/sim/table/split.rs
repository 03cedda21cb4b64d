//! Where our saving and our speed-up come from.

use super::{Entry, Table};
use crate::plan::planner::Objective;
use crate::sim::methods::MethodName;

/// What the parts of ours give on one board, bundle and rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Energy saved by leaving early, at the highest clocks, % of full depth at MAXN.
    pub early_exit: f64,
    /// What the best single clock point saves beyond, same unit.
    pub static_optimum: f64,
    /// What planning for exits that are not known yet saves beyond.
    pub foresight: f64,
    /// What issuing changes ahead saves beyond.
    pub staging: f64,
    /// All of it.
    pub whole: f64,
    /// Energy below full depth under governors, %.
    pub below_governors: f64,
    /// Below the cheapest of zTT, Ring-DVFS and softmax exits under governors, %.
    pub below_best: f64,
    /// Below each of the three, and how many of its frames are late, %.
    pub peers: [Peer; 3],
    /// Below E4 as published, %.
    pub below_e4: f64,
    /// How many times as fast as full depth under governors, with the objective
    /// latency.
    pub speed_up: f64,
    /// The part of it that is due to exits: both under governors.
    pub by_exits: f64,
    /// The part that is due to clocks.
    pub by_clocks: f64,
    /// Clip accuracy less that of full depth, points.
    pub accuracy: Option<f64>,
    /// Late frames, %.
    pub late: f64,
}

/// Ours beside one of zTT, Ring-DVFS and softmax exits under governors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peer {
    /// Our energy below its, %.
    pub below: f64,
    /// Its frames that are late, %.
    pub late: f64,
}

const PEERS: [MethodName; 3] = [MethodName::Ztt, MethodName::Ring, MethodName::Softmax];

/// By how much `a` is below `b`, % of `b`.
fn below(a: f64, b: f64) -> f64 {
    100.0 * (1.0 - a / b)
}

impl Split {
    /// The parts beside our line; `None` where a line is missing.
    #[must_use]
    pub fn of(table: &Table, ours: &Entry) -> Option<Self> {
        let line = |method| table.beside(ours, method, Objective::Energy);
        let energy = |method| line(method).map(|entry| entry.figures.energy_mj);
        let latency = |method| line(method).map(|entry| entry.figures.latency_mean_ms);
        let full = energy(MethodName::Maxn)?;
        let parts = [
            energy(MethodName::GatesMaxn)?,
            energy(MethodName::Static)?,
            energy(MethodName::Unstaged)?,
            ours.figures.energy_mj,
        ];
        let fast = table.beside(ours, MethodName::Ours, Objective::Latency)?;
        let governed_ms = latency(MethodName::Governors)?;
        let exits_ms = latency(MethodName::GatesGovernors)?;
        let fast_ms = fast.figures.latency_mean_ms;
        let own = ours.figures.energy_mj;
        let peer = |method| {
            line(method).map(|entry| Peer {
                below: below(own, entry.figures.energy_mj),
                late: entry.late_percent(),
            })
        };
        let peers = [peer(PEERS[0])?, peer(PEERS[1])?, peer(PEERS[2])?];
        let accuracy = line(MethodName::Maxn)?.figures.clip_accuracy;
        let gap = ours.figures.clip_accuracy.zip(accuracy);
        Some(Self {
            early_exit: 100.0 * (full - parts[0]) / full,
            static_optimum: 100.0 * (parts[0] - parts[1]) / full,
            foresight: 100.0 * (parts[1] - parts[2]) / full,
            staging: 100.0 * (parts[2] - parts[3]) / full,
            whole: below(own, full),
            below_governors: below(own, energy(MethodName::Governors)?),
            below_best: peers
                .iter()
                .map(|peer| peer.below)
                .fold(f64::INFINITY, f64::min),
            peers,
            below_e4: below(own, energy(MethodName::E4)?),
            speed_up: governed_ms / fast_ms,
            by_exits: governed_ms / exits_ms,
            by_clocks: exits_ms / fast_ms,
            accuracy: gap.map(|(ours, full)| 100.0 * (ours - full)),
            late: ours.late_percent(),
        })
    }
}
