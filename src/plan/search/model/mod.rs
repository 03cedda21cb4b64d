//! Model-based search.

pub mod linalg;
pub mod physics;
pub mod residual;

use super::{Choice, Goal, Observation, Readings, Search, Step};
use crate::plan::random::Random;
use crate::plan::space::Space;
use physics::{Datum, Law, Physics};
use residual::{Kernel, Posterior, Priors, Residuals};

/// Knobs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub jitter: f64,
    pub focus: f64,
    pub quiet: f64,
    pub lcb: f64,
    pub margin: f64,
    pub final_margin: f64,
    pub reserve: usize,
    pub acq: u32,
    pub twice: usize,
    pub wide: bool,
    pub design: usize,
    pub unmeasured: f64,
    pub priors: Priors,
    pub leaders: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jitter: 0.05,
            focus: 1.0,
            quiet: 0.008,
            lcb: 0.5,
            margin: 1.0,
            final_margin: 0.5,
            reserve: 3,
            acq: 0,
            twice: 0,
            wide: false,
            design: 8,
            unmeasured: 0.0,
            leaders: 3,
            priors: Priors {
                noise: (0.02, 1.0),
                residual: (0.05, 0.7),
                term: 0.4,
                rough: 0.005,
                couple: 0.7,
            },
        }
    }
}

const DESIGN: [[f64; 3]; 8] = [
    [1.0, 1.0, 1.0],
    [0.4, 0.7, 0.7],
    [1.0, 0.6, 0.7],
    [0.5, 1.0, 0.65],
    [0.7, 0.85, 1.0],
    [0.5, 0.6, 0.9],
    [0.75, 0.75, 0.6],
    [0.4, 0.9, 0.8],
];
const STREAM: u64 = 0x4D6F_6465;

/// The search.
#[derive(Debug)]
pub struct Model<'a> {
    space: &'a Space,
    goal: Goal,
    pub settings: Settings,
    design: Vec<usize>,
    physics: Physics,
    kernel: Kernel,
}

/// Belief.
#[derive(Debug)]
pub struct Belief {
    pub latency: Vec<f64>,
    pub sl: Vec<f64>,
    pub energy: Vec<f64>,
    pub se: Vec<f64>,
    pub noise: [f64; 2],
    pub sizes: [f64; 2],
}

impl<'a> Model<'a> {
    pub fn new(space: &'a Space, goal: Goal, seed: u64) -> Self {
        Self::with(space, goal, seed, Settings::default())
    }

    pub fn with(space: &'a Space, goal: Goal, seed: u64, settings: Settings) -> Self {
        let mut random = Random::new(seed, STREAM);
        let mut design: Vec<usize> = Vec::new();
        for (n, relative) in DESIGN.iter().take(settings.design).enumerate() {
            let wish = relative.map(|u| {
                let jitter = settings.jitter * (2.0 * random.uniform() - 1.0);
                if n == 0 { u } else { (u + jitter).min(1.0) }
            });
            let point = space.nearest(wish);
            if !design.contains(&point) {
                design.push(point);
            }
        }
        Self {
            space,
            goal,
            settings,
            design,
            physics: Physics::new(space),
            kernel: Kernel::new(space),
        }
    }

    pub fn believe(&mut self, readings: &Readings) -> Belief {
        self.kernel.prepare(&readings.points);
        let means: Vec<[f64; 2]> = readings
            .points
            .iter()
            .map(|p| readings.mean(*p).unwrap_or([1.0; 2]))
            .collect();
        let least = means.iter().map(|m| m[1]).fold(f64::INFINITY, f64::min);
        let data = |k: usize| -> Vec<Datum> {
            readings
                .points
                .iter()
                .zip(&means)
                .map(|(point, m)| Datum {
                    point: *point,
                    value: m[k],
                    weight: (readings.count(*point) as f64).sqrt()
                        * libm::pow(least / m[1], self.settings.focus),
                })
                .collect()
        };
        let latency = self.physics.latency(&data(0));
        let energy = self.physics.energy(&data(1), &latency.values);
        let rl = self.rest(readings, &latency, 0);
        let re = self.rest(readings, &energy, 1);
        let [l, e] = residual::infer2(
            &self.kernel,
            [&latency.shares, &energy.shares],
            [&rl, &re],
            self.settings.priors,
        );
        let apply = |law: &Law, p: &Posterior| -> Vec<f64> {
            law.values
                .iter()
                .zip(&p.mean)
                .map(|(v, m)| libm::log(*v) + m)
                .collect()
        };
        Belief {
            latency: apply(&latency, &l),
            energy: apply(&energy, &e),
            sizes: [l.sizes.residual, e.sizes.residual],
            noise: [l.sizes.noise, e.sizes.noise],
            sl: l.deviation,
            se: e.deviation,
        }
    }

    fn rest(&self, readings: &Readings, law: &Law, k: usize) -> Residuals {
        let mut data = Residuals {
            points: readings.points.clone(),
            ..Residuals::default()
        };
        for (point, logs) in readings.points.iter().zip(&readings.logs) {
            let n = logs.len() as f64;
            let mean = logs.iter().map(|v| v[k]).sum::<f64>() / n;
            data.within += logs
                .iter()
                .map(|v| (v[k] - mean) * (v[k] - mean))
                .sum::<f64>();
            data.means.push(mean - libm::log(law.values[*point]));
            data.counts.push(n);
        }
        data
    }

    fn leaders(&self, readings: &Readings, belief: &Belief) -> Vec<usize> {
        let cap = libm::log(self.goal.cap());
        let z = self.settings.final_margin;
        let ok = |p: &usize| belief.latency[*p] + z * belief.sl[*p] <= cap;
        let mut c: Vec<usize> = if self.settings.unmeasured > 0.0 {
            (0..self.space.len())
                .filter(|p| {
                    readings.has(*p) || belief.se[*p] < self.settings.unmeasured * belief.noise[1]
                })
                .filter(ok)
                .collect()
        } else {
            readings.points.iter().copied().filter(ok).collect()
        };
        if c.is_empty() {
            let quickest = readings
                .points
                .iter()
                .copied()
                .min_by(|a, b| belief.latency[*a].total_cmp(&belief.latency[*b]));
            return quickest.into_iter().collect();
        }
        c.sort_by(|a, b| {
            belief.energy[*a]
                .total_cmp(&belief.energy[*b])
                .then(a.cmp(b))
        });
        c.truncate(self.settings.leaders);
        c
    }

    fn knowledge(&self, readings: &Readings, belief: &Belief) -> Option<usize> {
        let cap = libm::log(self.goal.cap());
        let z = self.settings.final_margin;
        let leaders = self.leaders(readings, belief);
        let first = *leaders.first()?;
        let eligible = belief.latency[first] + z * belief.sl[first] <= cap;
        let base = if eligible {
            belief.energy[first]
        } else {
            readings
                .points
                .iter()
                .map(|p| belief.energy[*p])
                .fold(f64::NEG_INFINITY, f64::max)
        };
        let second = leaders.get(1).map_or(f64::INFINITY, |p| belief.energy[*p]);
        let mut best: Option<(f64, usize)> = None;
        for p in 0..self.space.len() {
            // Standard deviation by which one reading is expected to move the belief.
            let moves = |s: f64, noise: f64| s * s / (s * s + noise * noise).sqrt();
            let se = moves(belief.se[p], belief.noise[1]) * self.settings.lcb;
            let sl = moves(belief.sl[p], belief.noise[0]);
            let left = (belief.sl[p] * belief.sl[p] - sl * sl).max(0.0).sqrt();
            let ok = cdf((cap - belief.latency[p] - z * left) / sl.max(1e-9));
            let gap = if p == first && eligible {
                base - second
            } else {
                base - belief.energy[p]
            };
            let u = gap / se.max(1e-9);
            let pdf = libm::exp(-0.5 * u * u) * 0.398_942_28;
            let a = se * (u * cdf(u) + pdf) * ok;
            if best.is_none_or(|b| a > b.0) {
                best = Some((a, p));
            }
        }
        best.map(|b| b.1)
    }

    fn acquire(&self, readings: &Readings, belief: &Belief) -> Option<usize> {
        let cap = libm::log(self.goal.cap());
        let noise = belief.noise[1];
        let points = (0..self.space.len()).filter(|p| !readings.has(*p));
        let mut best: Option<(f64, usize)> = None;
        let ei = noise < self.settings.quiet || self.settings.acq == 1;
        let incumbent = self
            .leaders(readings, belief)
            .first()
            .map_or(0.0, |p| belief.energy[*p]);
        let incumbent_ok = readings.points.iter().any(|p| belief.latency[*p] <= cap);
        let top_e = readings
            .points
            .iter()
            .map(|p| belief.energy[*p])
            .fold(f64::NEG_INFINITY, f64::max);
        let base = if incumbent_ok { incumbent } else { top_e };
        for p in points {
            let a = if ei {
                let u = (base - belief.energy[p]) / belief.se[p];
                let pdf = libm::exp(-0.5 * u * u) * 0.398_942_28;
                let v = belief.se[p] * (u * cdf(u) + pdf);
                v * cdf((cap - belief.latency[p]) / belief.sl[p])
            } else {
                if belief.latency[p] + self.settings.margin * belief.sl[p] > cap {
                    continue;
                }
                -(belief.energy[p] - self.settings.lcb * belief.se[p])
            };
            if best.is_none_or(|b| a > b.0) {
                best = Some((a, p));
            }
        }
        if best.is_none() {
            // nothing is safe: the quickest
            return (0..self.space.len())
                .filter(|p| !readings.has(*p))
                .min_by(|a, b| belief.latency[*a].total_cmp(&belief.latency[*b]));
        }
        best.map(|b| b.1)
    }
}

fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

impl Search for Model<'_> {
    fn next(&mut self, history: &[Observation]) -> Step {
        if history.len() >= self.goal.budget {
            return Step::Done;
        }
        let readings = Readings::new(self.space, history);
        if let Some(p) = self.design.iter().find(|p| !readings.has(**p)) {
            return Step::Probe(*p);
        }
        let extra = history.len().saturating_sub(self.design.len());
        if extra < self.settings.twice {
            return Step::Probe(self.design[extra % self.design.len()]);
        }
        let belief = self.believe(&readings);
        if self.settings.acq == 2 && self.goal.budget - history.len() > self.settings.reserve {
            return self
                .knowledge(&readings, &belief)
                .map_or(Step::Done, Step::Probe);
        }
        let left = self.goal.budget - history.len();
        let noisy = belief.noise[0].max(belief.noise[1]) > self.settings.quiet;
        if noisy && left <= self.settings.reserve {
            let l = self.leaders(&readings, &belief);
            if let Some(p) = l.iter().min_by_key(|p| readings.count(**p)) {
                return Step::Probe(*p);
            }
        }
        match self.acquire(&readings, &belief) {
            Some(p) => Step::Probe(p),
            None => Step::Done,
        }
    }

    fn choose(&mut self, history: &[Observation]) -> Option<Choice> {
        let readings = Readings::new(self.space, history);
        if readings.points.is_empty() {
            return None;
        }
        let belief = self.believe(&readings);
        let p = *self.leaders(&readings, &belief).first()?;
        Some(Choice {
            point: p,
            latency_s: libm::exp(belief.latency[p]),
            energy_j: libm::exp(belief.energy[p]),
            keeps_cap: libm::exp(belief.latency[p]) <= self.goal.cap(),
        })
    }
}
