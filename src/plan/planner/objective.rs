//! What a plan is to be good at.

use super::costs::{Costs, Demand};
use super::schedule::{Outcome, Schedule};
use super::search;
use super::step::Weights;

/// What is to be least, in expectation over the exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Energy of a frame, idle stretch included.
    #[default]
    Energy,
    /// Latency of a frame.
    Latency,
    /// Expected energy times expected latency.
    Edp,
}

impl Objective {
    /// What `outcome` costs under this objective.
    #[must_use]
    pub fn cost(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Energy => outcome.energy_j,
            Self::Latency => outcome.latency_s,
            Self::Edp => outcome.energy_j * outcome.latency_s,
        }
    }
}

const ENERGY: Weights = Weights {
    per_j: 1.0,
    per_s: 0.0,
};
const LATENCY: Weights = Weights {
    per_j: 0.0,
    per_s: 1.0,
};

/// The schedule of least expected cost that keeps the deadline in every branch,
/// or `None` where none does.
#[must_use]
pub fn plan(costs: &Costs, demand: &Demand, objective: Objective) -> Option<(Schedule, Outcome)> {
    match objective {
        Objective::Energy => search::least(costs, demand, ENERGY),
        Objective::Latency => search::least(costs, demand, LATENCY),
        Objective::Edp => least_product(costs, demand),
    }
}

/// A product of two sums is quasi-concave where both are positive, so its least
/// value over a set is taken at a corner of the set's convex hull: at a least
/// weighted sum. All corners that could hold it are found by bisection.
fn least_product(costs: &Costs, demand: &Demand) -> Option<(Schedule, Outcome)> {
    let frugal = search::least(costs, demand, ENERGY)?;
    let fast = search::least(costs, demand, LATENCY)?;
    let mut best = frugal.clone();
    let keep = |found: (Schedule, Outcome), best: &mut (Schedule, Outcome)| {
        if Objective::Edp.cost(&found.1) < Objective::Edp.cost(&best.1) {
            *best = found;
        }
    };
    let mut open = vec![(frugal.1, fast.1)];
    keep(fast, &mut best);
    while let Some((left, right)) = open.pop() {
        // The corner between the two lies in the triangle under their line, whose
        // lowest corner is (less energy of the left, less latency of the right).
        let (energy_j, latency_s) = (
            right.energy_j - left.energy_j,
            left.latency_s - right.latency_s,
        );
        let bound = left.energy_j * right.latency_s;
        if energy_j <= 0.0 || latency_s <= 0.0 || bound >= Objective::Edp.cost(&best.1) {
            continue;
        }
        let weights = Weights {
            per_j: latency_s,
            per_s: energy_j,
        };
        let Some(found) = search::least(costs, demand, weights) else {
            continue;
        };
        let at = |o: &Outcome| weights.per_j * o.energy_j + weights.per_s * o.latency_s;
        if at(&found.1) < at(&left) * (1.0 - 1e-12) {
            open.push((left, found.1));
            open.push((found.1, right));
            keep(found, &mut best);
        }
    }
    Some(best)
}
