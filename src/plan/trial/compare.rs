//! All methods over grids, caps and seeds, in one table.

use super::stats::{Figure, bootstrap, quantile, share};
use super::{Outcome, Trial};
use crate::plan::grid::Grid;
use crate::plan::search::{Goal, Method};
use crate::plan::space::Space;
use serde::Serialize;

/// Latency caps over the latency at the highest clocks; `None` for no cap.
pub const CAPS: [Option<f64>; 4] = [None, Some(1.05), Some(1.2), Some(1.5)];

const ROUNDS: usize = 500;

/// How noisy the probes are, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Relative deviation of a reading.
    pub sigma: f64,
    /// Probes; `exhaustive` takes every point instead.
    pub budget: usize,
}

/// The settings that the specification speaks of.
pub const SETTINGS: [Setting; 3] = [
    Setting {
        sigma: 0.0,
        budget: 24,
    },
    Setting {
        sigma: 0.03,
        budget: 32,
    },
    Setting {
        sigma: 0.06,
        budget: 32,
    },
];

/// One line of the table. Gaps are fractions, over the runs that kept the cap;
/// intervals are over runs (bootstrap; Wilson for shares), the grids being given.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Name of the method.
    pub method: &'static str,
    /// Relative deviation of a reading.
    pub noise: f64,
    /// Probes spent, mean.
    pub probes: f64,
    /// Runs.
    pub runs: usize,
    /// Median gap.
    pub gap_median: Figure,
    /// Gap that nine of ten runs stay below.
    pub gap_p90: Figure,
    /// Largest gap.
    pub gap_worst: f64,
    /// Share of runs whose choice breaks the cap by more than 1 %.
    pub cap_broken: Figure,
    /// Mean true energy saved against the highest clocks, over the runs that kept
    /// the cap.
    pub saving: f64,
}

/// Runs one method under one setting over all grids, caps and seeds `0..seeds`.
/// A cap that no point of a grid keeps is left out.
#[must_use]
pub fn line(grids: &[Grid], method: Method, setting: Setting, seeds: u64) -> Line {
    let mut tally = Tally::default();
    for grid in grids {
        let allowed = ((0..grid.space.len()).collect(), grid.space.clone());
        for cap in CAPS {
            tally.cell(grid, &allowed, method, setting, cap, seeds);
        }
    }
    tally.line(method, setting)
}

#[derive(Default)]
struct Tally {
    runs: usize,
    broken: usize,
    probes: usize,
    gaps: Vec<f64>,
    savings: f64,
}

impl Tally {
    fn cell(
        &mut self,
        grid: &Grid,
        allowed: &(Vec<usize>, Space),
        method: Method,
        setting: Setting,
        cap: Option<f64>,
        seeds: u64,
    ) {
        let [latency, energy] = grid.costs[grid.space.top()];
        let budget = match method {
            Method::Exhaustive => grid.costs.len(),
            _ => setting.budget,
        };
        let goal = Goal {
            cap_s: cap.map(|slowdown| slowdown * latency),
            budget,
        };
        for seed in 0..seeds {
            let trial = Trial {
                grid,
                allowed,
                goal,
                sigma: setting.sigma,
                seed,
            };
            let outcome = trial.run(method);
            self.add(&outcome, |point| 1.0 - grid.costs[point][1] / energy);
        }
    }

    fn add(&mut self, outcome: &Outcome, saving: impl Fn(usize) -> f64) {
        let Some((gap, point)) = outcome.gap.zip(outcome.point) else {
            return;
        };
        self.runs += 1;
        self.probes += outcome.history.len();
        match outcome.cap_kept {
            true => {
                self.gaps.push(gap);
                self.savings += saving(point);
            }
            false => self.broken += 1,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of runs and probes")]
    fn line(mut self, method: Method, setting: Setting) -> Line {
        self.gaps.sort_by(f64::total_cmp);
        Line {
            method: method.name(),
            noise: setting.sigma,
            probes: self.probes as f64 / self.runs as f64,
            runs: self.runs,
            gap_median: bootstrap(&self.gaps, 0.5, ROUNDS, 1),
            gap_p90: bootstrap(&self.gaps, 0.9, ROUNDS, 2),
            gap_worst: quantile(&self.gaps, 1.0),
            cap_broken: share(self.broken, self.runs),
            saving: self.savings / self.gaps.len() as f64,
        }
    }
}

/// Head of the table that [`Line::text`] fills.
pub const HEADER: &str = "\
method       noise  probes    runs  median gap %         p90 gap %            worst %  cap broken > 1 %     saved %";

impl Line {
    /// The line for people, in %.
    #[must_use]
    pub fn text(&self) -> String {
        let percent = |figure: Figure| {
            let [value, low, high] = [figure.value, figure.low, figure.high].map(|v| 100.0 * v);
            format!("{value:5.2} ({low:.2}-{high:.2})")
        };
        format!(
            "{:11} {:5.1}% {:7.1} {:7}  {:19}  {:19}  {:7.2}  {:19}  {:7.2}",
            self.method,
            100.0 * self.noise,
            self.probes,
            self.runs,
            percent(self.gap_median),
            percent(self.gap_p90),
            100.0 * self.gap_worst,
            percent(self.cap_broken),
            100.0 * self.saving,
        )
    }
}
