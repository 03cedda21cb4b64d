//! Lower bounds for the search: what the rest of a frame costs at least.
//!
//! The relaxation lets clocks change exactly at segment borders, wherever the
//! segments before (or, for a change issued late, the segment itself) could have
//! hidden the change; it gives the idle stretch the lowest idle power, and puts a
//! price on the time until the last segment's end instead of a deadline
//! (Lagrange). The dearest of the prices' answers is the bound.

use super::costs::{Costs, Demand, least};
use super::step::{Decision, State, Weights};

/// Costs that all bounds of one search share.
#[derive(Debug)]
pub(super) struct Relaxation<'a> {
    costs: &'a Costs,
    demand: &'a Demand,
    weights: Weights,
    /// `k * P + p`: the longest change from `p` that can be in effect while
    /// segment `k` runs.
    longest_change_s: Vec<f64>,
    idle_cost_per_s: f64,
}

/// Bounds at one price of time, for all home points or for one.
#[derive(Debug)]
pub(super) struct Priced {
    price_per_s: f64,
    /// `k * P + p`: segment `k` at `p` alone.
    own: Vec<f64>,
    /// `k * P + p`: from the start of segment `k` with `p` in effect.
    rest: Vec<f64>,
    /// The same where segment `k` runs at `p`.
    run: Vec<f64>,
}

/// Doublings of the price until the relaxed path keeps the deadline.
const RAISES: u32 = 12;
/// Halvings of the gap around the first price that does.
const HALVINGS: u32 = 6;

impl<'a> Relaxation<'a> {
    pub fn new(costs: &'a Costs, demand: &'a Demand, weights: Weights) -> Self {
        let points = costs.points;
        let mut longest_change_s = vec![0.0; costs.segments * points];
        for p in 0..points {
            let (mut before, mut since_second) = (0.0, 0.0);
            for k in 0..costs.segments {
                let latency_s = costs.latency(k, p);
                if k > 0 {
                    since_second += latency_s;
                }
                // Sums in another order may differ in the last digits.
                longest_change_s[k * points + p] = f64::max(before, since_second) * (1.0 + 1e-9);
                before += latency_s;
            }
        }
        Self {
            costs,
            demand,
            weights,
            longest_change_s,
            idle_cost_per_s: weights.per_j * costs.idle_w[costs.idle_point],
        }
    }

    /// Bounds at the prices of time that matter, the tightest first.
    pub fn prices(&self) -> Vec<Priced> {
        let mut price = 0.0;
        let mut step = self.scale();
        let all: Vec<usize> = (0..self.costs.points).collect();
        let mut prices = vec![self.priced(price, &all, None)];
        let mut low = None;
        for _ in 0..RAISES {
            if self.keeps_deadline(&prices[prices.len() - 1]) {
                break;
            }
            low = Some(price);
            price += step;
            step *= 2.0;
            prices.push(self.priced(price, &all, None));
        }
        if let Some(mut low) = low {
            let mut high = price;
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(low, high);
                prices.push(self.priced(middle, &all, None));
                if self.keeps_deadline(&prices[prices.len() - 1]) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
        }
        let points = self.costs.points;
        let frame = |p: &Priced| {
            let least = p.run[..points]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            least - p.price_per_s * self.demand.deadline_s
        };
        prices.sort_by(|a, b| frame(b).total_cmp(&frame(a)));
        prices.truncate(3);
        prices
    }

    /// The bounds of one home point, for what is reachable from it: the way back
    /// costs energy, too.
    pub fn for_home(&self, prices: &[Priced], home: usize, reachable: &[usize]) -> Vec<Priced> {
        let tightest = prices.iter().take(1);
        tightest
            .map(|p| self.priced(p.price_per_s, reachable, Some(home)))
            .collect()
    }

    /// The points that changes within one frame can lead to from `home`, itself
    /// among them, in rising order.
    pub fn reachable(&self, home: usize) -> Vec<usize> {
        let (points, last) = (self.costs.points, self.costs.segments - 1);
        let mut found = vec![false; points];
        found[home] = true;
        let mut open = vec![home];
        while let Some(from) = open.pop() {
            let longest_s = self.longest_change_s[last * points + from];
            for (to, found) in found.iter_mut().enumerate() {
                if !*found && self.costs.change(from, to).0 <= longest_s {
                    *found = true;
                    open.push(to);
                }
            }
        }
        (0..points).filter(|&p| found[p]).collect()
    }

    /// Least cost of a frame that stands at `state`.
    pub fn of(&self, prices: &[Priced], state: &State) -> f64 {
        let k = state.segment;
        let spent = self.spent(state);
        if k == self.costs.segments {
            return spent;
        }
        let at = k * self.costs.points + state.point;
        let least =
            |p: &Priced| p.rest[at] + p.price_per_s * (state.time_s - self.demand.deadline_s);
        let rest = prices.iter().map(least).fold(f64::MIN, f64::max);
        spent + self.waiting(k, state.time_s) + rest
    }

    /// Least cost of a whole frame whose first segment runs at `home`.
    pub fn of_home(&self, prices: &[Priced], home: usize) -> f64 {
        let least = |p: &Priced| p.run[home] - p.price_per_s * self.demand.deadline_s;
        self.waiting(0, 0.0) + prices.iter().map(least).fold(f64::MIN, f64::max)
    }

    /// What the frames that reach segment `k` at `time_s` pay for the time so far
    /// and for a wait until the next frame that the segments then cut short.
    fn waiting(&self, k: usize, time_s: f64) -> f64 {
        let idle = self.idle_cost_per_s * (self.demand.interval_s - time_s);
        self.demand.reach[k] * (idle + self.weights.per_s * time_s)
    }

    /// A price at which time and cost weigh about the same.
    fn scale(&self) -> f64 {
        let all = self.costs.latency_s.iter().zip(&self.costs.energy_j);
        let usable = all.filter(|(latency_s, _)| latency_s.is_finite());
        let (latency_s, energy_j) = usable.fold((0.0, 0.0), |(t, e), (x, y)| (t + x, e + y));
        let per_s = if latency_s > 0.0 {
            energy_j / latency_s
        } else {
            1.0
        };
        (self.weights.per_j * per_s + self.weights.per_s) / 8.0
    }

    /// Bounds of the points `among`, and of all others that nothing can be had
    /// from them.
    fn priced(&self, price_per_s: f64, among: &[usize], home: Option<usize>) -> Priced {
        let (segments, points) = (self.costs.segments, self.costs.points);
        let mut priced = Priced {
            price_per_s,
            own: vec![f64::INFINITY; segments * points],
            rest: vec![f64::INFINITY; (segments + 1) * points],
            run: vec![f64::INFINITY; segments * points],
        };
        priced.rest[segments * points..].fill(0.0);
        for k in (0..segments).rev() {
            for p in among.iter().map(|p| k * points + p) {
                priced.own[p] = self.segment(k, p - k * points, price_per_s, home);
                priced.run[p] = priced.own[p] + priced.rest[p + points];
            }
            let ran = &priced.run[k * points..][..points];
            for &p in among {
                priced.rest[k * points + p] = self.least_after_change(k, p, ran, among);
            }
        }
        priced
    }

    /// What `state` has cost so far.
    pub fn spent(&self, state: &State) -> f64 {
        self.weights.per_j * state.energy_j + self.weights.per_s * state.latency_s
    }

    /// Relaxed cost of running segment `k` at `p`.
    fn segment(&self, k: usize, p: usize, price_per_s: f64, home: Option<usize>) -> f64 {
        let (latency_s, energy_j) = (self.costs.latency(k, p), self.costs.energy(k, p));
        if !latency_s.is_finite() {
            return f64::INFINITY;
        }
        let back_j = home.map_or(0.0, |home| self.costs.way_j[p * self.costs.points + home]);
        let weights = self.weights;
        let busy = weights.per_j * energy_j + (weights.per_s - self.idle_cost_per_s) * latency_s;
        self.demand.reach[k] * busy
            + self.demand.exit_share[k] * weights.per_j * back_j
            + price_per_s * latency_s
    }

    /// Cost of running segment `k` at `to` when `p` is in effect before it.
    fn after_change(&self, k: usize, p: usize, to: usize, ran: &[f64]) -> f64 {
        let (change_s, change_j) = self.costs.change(p, to);
        if change_s > self.longest_change_s[k * self.costs.points + p] {
            return f64::INFINITY;
        }
        self.demand.reach[k] * self.weights.per_j * change_j + ran[to]
    }

    fn least_after_change(&self, k: usize, p: usize, ran: &[f64], among: &[usize]) -> f64 {
        let costs = among.iter().map(|&to| self.after_change(k, p, to, ran));
        costs.fold(f64::INFINITY, |a, b| if b < a { b } else { a })
    }

    fn keeps_deadline(&self, priced: &Priced) -> bool {
        let path = self.path(priced);
        let latencies = path
            .iter()
            .enumerate()
            .map(|(k, &p)| self.costs.latency(k, p));
        latencies.sum::<f64>() <= self.demand.deadline_s
    }

    /// Points of the relaxed path of least cost.
    pub fn path(&self, priced: &Priced) -> Vec<usize> {
        let points = self.costs.points;
        let mut at = least(&priced.run[..points]);
        let mut path = vec![at];
        for k in 1..self.costs.segments {
            let ran = &priced.run[k * points..][..points];
            let cost: Vec<f64> = (0..points)
                .map(|to| self.after_change(k, at, to, ran))
                .collect();
            at = least(&cost);
            path.push(at);
        }
        path
    }

    /// Least cost of a frame that takes `decision` at `state`: coarser than
    /// taking the step and asking for its bound, and much cheaper.
    pub fn of_decision(&self, priced: &Priced, state: &State, decision: Decision) -> f64 {
        let (k, from) = (state.segment, state.point);
        let own = |m: usize, p: usize| priced.own[m * self.costs.points + p];
        let rest = |m: usize, p: usize| priced.rest[m * self.costs.points + p];
        let held = |m: usize| (k..m).map(|m| own(m, from)).sum::<f64>();
        let base = self.spent(state)
            + self.waiting(k, state.time_s)
            + priced.price_per_s * (state.time_s - self.demand.deadline_s);
        // The change is charged to those that go on after it: what the others pay
        // for it is at least what their way home from `from` would have cost.
        let change = |to: usize, segment: usize| {
            let reach = self.demand.reach.get(segment).copied().unwrap_or(0.0);
            reach * self.weights.per_j * self.costs.change(from, to).1
        };
        let after = match decision {
            Decision::Stay => own(k, from) + rest(k + 1, from),
            Decision::Ahead { to, before } => held(before) + change(to, before) + rest(before, to),
            Decision::Now { to } => {
                let mut left_s = self.costs.change(from, to).0;
                let mut m = k;
                while m + 1 < self.costs.segments && self.costs.latency(m, from) <= left_s {
                    left_s -= self.costs.latency(m, from);
                    m += 1;
                }
                if m > k && left_s <= 0.0 {
                    return base + held(m) + change(to, m) + rest(m, to);
                }
                held(m) + own(m, from).min(own(m, to)) + change(to, m + 1) + rest(m + 1, to)
            }
        };
        base + after
    }
}
