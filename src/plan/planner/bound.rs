//! Lower bounds for the search: what the rest of a frame costs at least.
//!
//! The relaxation lets clocks change at segment borders without taking time (the
//! change's energy is paid), gives the idle stretch the lowest idle power, and
//! puts a price on the time until the last segment's end instead of a deadline
//! (Lagrange). The dearest of the prices' answers is the bound.

use super::costs::{Costs, Demand};
use super::step::{State, Weights};

/// Bounds at one price of time.
#[derive(Debug)]
struct Priced {
    price_per_s: f64,
    /// `k * P + p`: from the start of segment `k` with `p` in effect, the price
    /// of the time included.
    rest: Vec<f64>,
    /// The same where segment `k` runs at `p`.
    run: Vec<f64>,
}

/// Bounds for one table, demand and weighting.
#[derive(Debug)]
pub(super) struct Bound {
    points: usize,
    deadline_s: f64,
    interval_s: f64,
    idle_cost_per_s: f64,
    reach: Vec<f64>,
    weights: Weights,
    prices: Vec<Priced>,
}

/// Prices tried between nothing and where only the time counts.
const PRICES: u32 = 12;

impl Bound {
    pub fn new(costs: &Costs, demand: &Demand, weights: Weights) -> Self {
        let lowest_w = costs.idle_w[costs.idle_point];
        let mut bound = Self {
            points: costs.points,
            deadline_s: demand.deadline_s,
            interval_s: demand.interval_s,
            idle_cost_per_s: weights.per_j * lowest_w,
            reach: demand.reach.iter().copied().chain([0.0]).collect(),
            weights,
            prices: Vec::new(),
        };
        let mut price = 0.0;
        let mut step = bound.scale(costs);
        bound.add(costs, price);
        // A relaxed path that keeps the deadline at some price leaves nothing
        // for a higher one to gain.
        for _ in 0..PRICES {
            if bound.keeps_deadline(costs) {
                break;
            }
            price += step;
            step *= 2.0;
            bound.add(costs, price);
        }
        bound.refine(costs);
        bound
    }

    /// Least cost of a frame that stands at `state`.
    pub fn of(&self, state: &State) -> f64 {
        let spent = self.weights.per_j * state.energy_j + self.weights.per_s * state.latency_s;
        let reach = self.reach[state.segment];
        let idle = self.idle_cost_per_s * (self.interval_s - state.time_s);
        let waited = self.weights.per_s * state.time_s;
        let left_s = self.deadline_s - state.time_s;
        spent + reach * (idle + waited) + self.rest(state.segment, state.point, left_s)
    }

    /// Least cost of a whole frame whose first segment runs at `home`.
    pub fn of_home(&self, home: usize) -> f64 {
        let idle = self.reach[0] * self.idle_cost_per_s * self.interval_s;
        let least = |p: &Priced| p.run[home] - p.price_per_s * self.deadline_s;
        idle + self.prices.iter().map(least).fold(f64::MIN, f64::max)
    }

    fn rest(&self, segment: usize, point: usize, left_s: f64) -> f64 {
        if segment + 1 == self.reach.len() {
            return 0.0;
        }
        let at = segment * self.points + point;
        let least = |p: &Priced| p.rest[at] - p.price_per_s * left_s;
        self.prices.iter().map(least).fold(f64::MIN, f64::max)
    }

    /// A price at which time and cost weigh about the same.
    fn scale(&self, costs: &Costs) -> f64 {
        let usable = costs.latency_s.iter().zip(&costs.energy_j);
        let usable = usable.filter(|(latency_s, _)| latency_s.is_finite());
        let (latency_s, energy_j) = usable.fold((0.0, 0.0), |(t, e), (x, y)| (t + x, e + y));
        let per_s = if latency_s > 0.0 {
            energy_j / latency_s
        } else {
            1.0
        };
        (self.weights.per_j * per_s + self.weights.per_s) / 8.0
    }

    fn add(&mut self, costs: &Costs, price_per_s: f64) {
        let (segments, points) = (costs.segments, costs.points);
        let mut rest = vec![0.0; (segments + 1) * points];
        let mut run = vec![f64::INFINITY; segments * points];
        let earlier = self.weights.per_s - self.idle_cost_per_s;
        for k in (0..segments).rev() {
            let reach = self.reach[k];
            let (now, later) = rest.split_at_mut((k + 1) * points);
            let now = &mut now[k * points..];
            let ran = &mut run[k * points..][..points];
            for p in 0..points {
                let (latency_s, energy_j) = (costs.latency(k, p), costs.energy(k, p));
                if latency_s.is_finite() {
                    ran[p] = reach * (self.weights.per_j * energy_j + earlier * latency_s)
                        + price_per_s * latency_s
                        + later[p];
                }
            }
            let change_cost = reach * self.weights.per_j;
            for p in 0..points {
                let row = &costs.change_j[p * points..][..points];
                let least = row
                    .iter()
                    .zip(&*ran)
                    .fold(f64::INFINITY, |least, (j, cost)| {
                        least.min(change_cost * j + cost)
                    });
                now[p] = least;
            }
        }
        self.prices.push(Priced {
            price_per_s,
            rest,
            run,
        });
    }

    /// Time of the relaxed path of least cost at the last price.
    fn keeps_deadline(&self, costs: &Costs) -> bool {
        self.prices
            .last()
            .is_none_or(|priced| self.time_s(costs, priced) <= self.deadline_s)
    }

    fn time_s(&self, costs: &Costs, priced: &Priced) -> f64 {
        self.path(costs, priced)
            .iter()
            .enumerate()
            .map(|(k, &p)| costs.latency(k, p))
            .sum()
    }

    /// Points of the relaxed path of least cost.
    fn path(&self, costs: &Costs, priced: &Priced) -> Vec<usize> {
        let points = self.points;
        let mut at = super::costs::least(&priced.run[..points]);
        let mut path = vec![at];
        for k in 1..costs.segments {
            let change_cost = self.reach[k] * self.weights.per_j;
            let cost: Vec<f64> = (0..points)
                .map(|q| change_cost * costs.change(at, q).1 + priced.run[k * points + q])
                .collect();
            at = super::costs::least(&cost);
            path.push(at);
        }
        path
    }

    /// Halves the gap between the last price that breaks the deadline and the
    /// first that keeps it: there the bound is tightest.
    fn refine(&mut self, costs: &Costs) {
        let last = self.prices.len() - 1;
        if last == 0 {
            return;
        }
        let mut low = self.prices[last - 1].price_per_s;
        let mut high = self.prices[last].price_per_s;
        for _ in 0..6 {
            let middle = f64::midpoint(low, high);
            self.add(costs, middle);
            if self.keeps_deadline(costs) {
                high = middle;
            } else {
                low = middle;
            }
        }
        let home = |p: &Priced| {
            let least = p.run[..self.points]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            least - p.price_per_s * self.deadline_s
        };
        self.prices.sort_by(|a, b| home(b).total_cmp(&home(a)));
        self.prices.truncate(4);
    }

    /// The relaxed paths: good starts for a search.
    pub fn paths(&self, costs: &Costs) -> Vec<Vec<usize>> {
        self.prices.iter().map(|p| self.path(costs, p)).collect()
    }
}
