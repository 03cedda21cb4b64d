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
    /// Below the cheapest of those that are late in no more frames than ours.
    pub below_best_in_time: Option<f64>,
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
    /// Late frames, %: ours, and the least of the three peers.
    pub late: [f64; 2],
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
        let peers: Vec<&Entry> = PEERS.iter().filter_map(|&method| line(method)).collect();
        let cheapest = |late: f64| {
            let in_time = peers.iter().filter(|peer| peer.late_percent() <= late);
            in_time.map(|peer| peer.figures.energy_mj).reduce(f64::min)
        };
        let late = peers.iter().map(|peer| peer.late_percent());
        let own = ours.figures.energy_mj;
        let accuracy = line(MethodName::Maxn)?.figures.clip_accuracy;
        let gap = ours.figures.clip_accuracy.zip(accuracy);
        Some(Self {
            early_exit: 100.0 * (full - parts[0]) / full,
            static_optimum: 100.0 * (parts[0] - parts[1]) / full,
            foresight: 100.0 * (parts[1] - parts[2]) / full,
            staging: 100.0 * (parts[2] - parts[3]) / full,
            whole: below(own, full),
            below_governors: below(own, energy(MethodName::Governors)?),
            below_best: below(own, cheapest(f64::INFINITY)?),
            below_best_in_time: cheapest(ours.late_percent()).map(|peer| below(own, peer)),
            below_e4: below(own, energy(MethodName::E4)?),
            speed_up: governed_ms / fast_ms,
            by_exits: governed_ms / exits_ms,
            by_clocks: exits_ms / fast_ms,
            accuracy: gap.map(|(ours, full)| 100.0 * (ours - full)),
            late: [ours.late_percent(), late.fold(f64::INFINITY, f64::min)],
        })
    }
}
