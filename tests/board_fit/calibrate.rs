//! Fits the board model to measured grids: the timing first, then the power.
//!
//! Parameters are searched in unbounded form (logarithm, logistic); the loss is
//! the relative error, linear beyond 15 %.

use crate::minimise::minimise;
use e4::board::physics::{DomainPower, PowerLaw, Timing, Work};

/// Relative clocks, latency (s), energy (J).
#[derive(Clone, Copy)]
pub struct Sample {
    pub u: [f64; 3],
    pub latency_s: f64,
    pub energy_j: f64,
}

/// What differs between workloads on one board.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub work: Work,
    /// Power of full work at the highest clocks, W: CPU, GPU, memory.
    pub active_w: [f64; 3],
}

/// What a board is.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    pub timing: Timing,
    /// With a `dynamic_w` of 1.
    pub power: PowerLaw,
}

const WORK: usize = 6;
const TIMING: usize = 3;
const ACTIVE: usize = 3;
const POWER: usize = 13;
const STEPS: usize = 60;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn loss(ratio: f64) -> f64 {
    const LINEAR: f64 = 0.15;
    let r = ratio.ln();
    if r.abs() < LINEAR {
        return r;
    }
    r.signum() * (LINEAR * (2.0 * r.abs() - LINEAR)).sqrt()
}

fn timing(x: &[f64]) -> Timing {
    Timing {
        gpu_memory_overlap: 1.0 + x[0].exp(),
        cpu_gpu_overlap: 1.0 + x[1].exp(),
        memory_exponent: x[2].exp(),
    }
}

fn work(x: &[f64]) -> Work {
    Work {
        fixed_s: x[0].exp(),
        serial_s: x[1].exp(),
        cpu_s: x[2].exp(),
        cpu_memory_s: x[3].exp(),
        gpu_s: x[4].exp(),
        memory_s: x[5].exp(),
    }
}

fn power(x: &[f64]) -> PowerLaw {
    let domain = |d: usize| DomainPower {
        dynamic_w: 1.0,
        leak_w: x[1 + 4 * d].exp(),
        idle_w: x[2 + 4 * d].exp(),
        voltage_floor: logistic(x[3 + 4 * d]),
        voltage_knee: logistic(x[4 + 4 * d]),
    };
    PowerLaw {
        always_w: x[0].exp(),
        domains: [domain(0), domain(1), domain(2)],
    }
}

/// Latency and energy that the model gives.
pub fn predict(board: &Board, load: &Load, u: [f64; 3]) -> [f64; 2] {
    let busy = board.timing.busy(&load.work, u);
    let energy_j = board.power.energy_j(u, &busy, load.active_w, 1.0);
    [busy.latency_s, energy_j]
}

/// The best of several starts.
fn best(residuals: &impl Fn(&[f64]) -> Vec<f64>, starts: Vec<Vec<f64>>) -> Vec<f64> {
    let found = starts.iter().map(|start| minimise(residuals, start, STEPS));
    let found = found.min_by(|a, b| a.1.total_cmp(&b.1));
    found.expect("there are starts").0
}

/// Where the search for a workload starts: shares of its shortest latency.
fn start(samples: &[Sample], turn: u32) -> Vec<f64> {
    let shortest = samples
        .iter()
        .map(|s| s.latency_s)
        .fold(f64::INFINITY, f64::min);
    let k = f64::from(turn);
    let shares = [-2.5, -3.0, -1.0 - 0.5 * k, -3.5, -1.5 + 0.5 * k, -2.0];
    shares.map(|share| shortest.ln() + share).to_vec()
}

/// Moderate values of the power's parameters: always-on power, then leakage, idle,
/// floor and knee of a domain, then the power of full work of each domain.
const MODERATE: (f64, [f64; 4], [f64; 3]) = (0.5, [-1.5, -1.0, 0.5, 0.0], [0.7, 2.0, 0.0]);
/// How strongly parameters are pulled to them, a unit over an error of 100 %: what
/// no sample tells stays there instead of running away.
const PULL: f64 = 0.1;

fn pull(x: &[f64], to: &[f64], strength: f64) -> Vec<f64> {
    x.iter()
        .zip(to)
        .map(|(x, to)| strength * (x - to))
        .collect()
}

fn moderate(workloads: usize) -> Vec<f64> {
    let (always, domain, active) = MODERATE;
    let mut x = vec![always];
    x.extend(domain.repeat(3));
    x.extend(active.repeat(workloads));
    x
}

/// Board and workloads from one or more grids of one board.
pub fn fit(grids: &[Vec<Sample>]) -> (Board, Vec<Load>) {
    let latency = |x: &[f64]| {
        let timing = timing(x);
        let mut all = Vec::new();
        for (grid, x) in grids.iter().zip(x[TIMING..].chunks(WORK)) {
            let work = work(x);
            let ratio = |s: &Sample| loss(timing.busy(&work, s.u).latency_s / s.latency_s);
            all.extend(grid.iter().map(ratio));
        }
        all.extend(pull(&x[..TIMING], &[0.5, 0.5, 0.0], 0.01));
        all
    };
    let starts = [0_u32, 2].map(|turn| {
        let mut x = vec![0.5, 0.5 - 0.5 * f64::from(turn), -0.1];
        x.extend(grids.iter().flat_map(|grid| start(grid, turn)));
        x
    });
    let x = best(&latency, starts.to_vec());
    let timing = timing(&x);
    let works: Vec<Work> = x[TIMING..].chunks(WORK).map(work).collect();
    let (power, active) = fit_power(grids, &timing, &works);
    let loads = works.into_iter().zip(active);
    let loads = loads.map(|(work, active_w)| Load { work, active_w });
    (Board { timing, power }, loads.collect())
}

fn fit_power(grids: &[Vec<Sample>], timing: &Timing, works: &[Work]) -> (PowerLaw, Vec<[f64; 3]>) {
    let moderate = moderate(grids.len());
    let energy = |x: &[f64]| {
        let power = power(x);
        let mut all = Vec::new();
        for ((grid, work), x) in grids.iter().zip(works).zip(x[POWER..].chunks(ACTIVE)) {
            let active: [f64; 3] = std::array::from_fn(|d| x[d].exp());
            let ratio = |s: &Sample| {
                let busy = timing.busy(work, s.u);
                loss(power.energy_j(s.u, &busy, active, 1.0) / s.energy_j)
            };
            all.extend(grid.iter().map(ratio));
        }
        all.extend(pull(x, &moderate, PULL));
        all
    };
    let x = best(&energy, vec![moderate.clone()]);
    let active = x[POWER..].chunks(ACTIVE);
    let active = active.map(|x| std::array::from_fn(|d| x[d].exp()));
    (power(&x), active.collect())
}

/// A workload on a known board, from few samples; what they cannot tell stays near
/// `like`.
pub fn fit_load(board: &Board, samples: &[Sample], like: &Load) -> Load {
    let shortest = samples
        .iter()
        .map(|s| s.latency_s)
        .fold(f64::INFINITY, f64::min);
    let scale = (shortest / predict(board, like, [1.0; 3])[0]).ln();
    let w = like.work;
    let usual = [
        w.fixed_s,
        w.serial_s,
        w.cpu_s,
        w.cpu_memory_s,
        w.gpu_s,
        w.memory_s,
    ]
    .map(|s| s.ln() + scale);
    let floor = shortest.ln() - 6.0;
    let usual = usual.map(|x| x.max(floor));
    let latency = |x: &[f64]| {
        let work = work(x);
        let mut all: Vec<f64> = samples
            .iter()
            .map(|s| loss(board.timing.busy(&work, s.u).latency_s / s.latency_s))
            .collect();
        all.extend(x.iter().zip(usual).map(|(x, usual)| 0.01 * (x - usual)));
        all
    };
    let mut starts: Vec<Vec<f64>> = [0, 2].map(|turn| start(samples, turn)).to_vec();
    starts.push(usual.to_vec());
    let work = work(&best(&latency, starts));
    let known = like.active_w.map(f64::ln);
    let energy = |x: &[f64]| {
        let active: [f64; 3] = std::array::from_fn(|d| x[d].exp());
        let mut all: Vec<f64> = samples
            .iter()
            .map(|s| {
                let busy = board.timing.busy(&work, s.u);
                loss(board.power.energy_j(s.u, &busy, active, 1.0) / s.energy_j)
            })
            .collect();
        all.extend(x.iter().zip(known).map(|(x, known)| 0.01 * (x - known)));
        all
    };
    let active = best(&energy, vec![known.to_vec()]);
    Load {
        work,
        active_w: std::array::from_fn(|d| active[d].exp()),
    }
}
