//! Exact search over all schedules: one set of [`Labels`] a home point, bounded
//! below by [`Relaxation`] and above by the best schedule known.

use super::bound::{Priced, Relaxation};
use super::costs::{Costs, Demand};
use super::labels::Labels;
use super::schedule::{Outcome, Schedule, Turn, evaluate};
use super::step::{Course, Weights};

/// The schedule of least weighted cost, or `None` where none keeps the deadline.
pub(super) fn least(
    costs: &Costs,
    demand: &Demand,
    weights: Weights,
) -> Option<(Schedule, Outcome)> {
    if demand.exit_share.len() != costs.segments {
        return None;
    }
    let relaxation = Relaxation::new(costs, demand, weights);
    let prices = relaxation.prices();
    let mut search = Search {
        costs,
        demand,
        weights,
        relaxation,
        best: None,
    };
    search.warm_up(&prices);
    let mut homes: Vec<(f64, usize)> = (0..costs.points)
        .map(|home| (search.relaxation.of_home(&prices, home), home))
        .collect();
    homes.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (bound, home) in homes {
        if search.may_beat(bound) {
            search.try_home(&prices, home);
        }
    }
    search.best.map(|best| (best.schedule, best.outcome))
}

#[derive(Debug)]
struct Best {
    cost: f64,
    schedule: Schedule,
    outcome: Outcome,
}

impl Best {
    /// What a better schedule has to stay below.
    fn limit(&self) -> f64 {
        self.cost - 1e-12 * self.cost.abs()
    }
}

#[derive(Debug)]
struct Search<'a> {
    costs: &'a Costs,
    demand: &'a Demand,
    weights: Weights,
    relaxation: Relaxation<'a>,
    best: Option<Best>,
}

impl Search<'_> {
    fn cost(&self, energy_j: f64, latency_s: f64) -> f64 {
        self.weights.per_j * energy_j + self.weights.per_s * latency_s
    }

    /// Whether something of at least this cost is worth a look.
    fn may_beat(&self, cost: f64) -> bool {
        self.best.as_ref().is_none_or(|best| cost < best.limit())
    }

    fn offer(&mut self, schedule: Schedule) -> bool {
        let Ok(outcome) = evaluate(self.costs, self.demand, &schedule) else {
            return false;
        };
        let cost = self.cost(outcome.energy_j, outcome.latency_s);
        let better = self.best.as_ref().is_none_or(|best| cost < best.cost);
        if better {
            self.best = Some(Best {
                cost,
                schedule,
                outcome,
            });
        }
        better
    }

    /// Finds a good schedule to begin with: the static points, the relaxed paths,
    /// and what changing one turn at a time makes of the best of them.
    fn warm_up(&mut self, prices: &[Priced]) {
        for point in 0..self.costs.points {
            self.offer(Schedule::of_one(point, self.costs.segments));
        }
        for priced in prices {
            let turn = |point| Turn { point, ahead: true };
            let path = self.relaxation.path(priced);
            let turns = path.into_iter().map(turn).collect();
            self.offer(Schedule { turns });
        }
        while self.improve() {}
    }

    fn improve(&mut self) -> bool {
        let Some(best) = &self.best else {
            return false;
        };
        let start = best.schedule.clone();
        let mut better = false;
        for k in 0..self.costs.segments {
            for point in 0..self.costs.points {
                let mut tail = start.clone();
                tail.turns[k..].fill(Turn { point, ahead: true });
                better |= self.offer(tail);
                let mut one = start.clone();
                one.turns[k] = Turn { point, ahead: true };
                better |= self.offer(one);
            }
        }
        better
    }

    fn try_home(&mut self, prices: &[Priced], home: usize) {
        let course = Course {
            costs: self.costs,
            demand: self.demand,
            home,
        };
        let reachable = self.relaxation.reachable(home);
        let prices = self.relaxation.for_home(prices, home, &reachable);
        let start = self.relaxation.of_home(&prices, home);
        if !self.may_beat(start) {
            return;
        }
        let limit = self.best.as_ref().map_or(f64::INFINITY, Best::limit);
        let found = Labels::new(course, &self.relaxation, &prices, &reachable, limit).least();
        if let Some(schedule) = found {
            self.offer(schedule);
        }
    }
}
