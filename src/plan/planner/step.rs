//! What one decision costs: the only place that knows how a change of clocks
//! and the segments that run meanwhile share the time.

use super::costs::{Costs, Demand};

/// A decision at the start of a segment, with no change under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Run the segment at the point in effect.
    Stay,
    /// Issue the change to `to` during this segment, so late that it takes effect
    /// just as segment `before` starts.
    Ahead { to: usize, before: usize },
    /// Issue the change to `to` as this segment starts.
    Now { to: usize },
}

/// How dear a joule and a second of a frame's latency are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weights {
    pub per_j: f64,
    pub per_s: f64,
}

/// Where the frame stands if it has not left yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// Next segment to run; the number of segments when all have run.
    pub segment: usize,
    /// Point in effect.
    pub point: usize,
    /// Since the frame began.
    pub time_s: f64,
    /// Expected so far, weighed with the probability of getting there: the
    /// segments run and, for the exits passed, all until the next frame.
    pub energy_j: f64,
    /// Expected latency of the frames that have left so far, likewise.
    pub latency_s: f64,
}

/// The clocks as a frame leaves: `point` in effect, and `to` in effect `left_s`
/// later.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    point: usize,
    to: usize,
    left_s: f64,
}

/// Costs and demand with the home point of a schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'a> {
    pub costs: &'a Costs,
    pub demand: &'a Demand,
    pub home: usize,
}

impl Course<'_> {
    /// The frame's first state.
    pub fn start(&self) -> State {
        State {
            segment: 0,
            point: self.home,
            time_s: 0.0,
            energy_j: 0.0,
            latency_s: 0.0,
        }
    }

    /// The state after `decision`, or `None` where a branch would miss the
    /// deadline or not be home when the next frame begins.
    pub fn step(&self, from: State, decision: Decision) -> Option<State> {
        let still = Clocks {
            point: from.point,
            to: from.point,
            left_s: 0.0,
        };
        match decision {
            Decision::Stay => self.run(from, still),
            Decision::Ahead { to, before } => {
                let lead = (from.segment + 1..before)
                    .map(|k| self.costs.latency(k, from.point))
                    .sum();
                self.run_ahead(self.issued(from, to), to, before, lead)
            }
            Decision::Now { to } => {
                let left_s = self.costs.change(from.point, to).0;
                self.run_through(
                    self.issued(from, to),
                    Clocks {
                        to,
                        left_s,
                        ..still
                    },
                )
            }
        }
    }

    /// `from` with the energy of a change, which all frames that get here pay.
    fn issued(&self, mut from: State, to: usize) -> State {
        let energy_j = self.costs.change(from.point, to).1;
        from.energy_j += self.demand.reach[from.segment] * energy_j;
        from
    }

    /// Runs up to segment `before`; as the first one ends, the change has
    /// `left_s` to go.
    fn run_ahead(
        &self,
        mut state: State,
        to: usize,
        before: usize,
        mut left_s: f64,
    ) -> Option<State> {
        while state.segment < before {
            let last = state.segment + 1 == before;
            let point = if last { to } else { state.point };
            let left = if last { 0.0 } else { left_s };
            let (ran, clocks) = (
                state.point,
                Clocks {
                    point,
                    to,
                    left_s: left,
                },
            );
            let latency_s = self.costs.latency(state.segment, ran);
            let energy_j = self.costs.energy(state.segment, ran);
            state = self.end(state, latency_s, energy_j, clocks)?;
            left_s -= if last {
                0.0
            } else {
                self.costs.latency(state.segment, ran)
            };
        }
        state.point = to;
        Some(state)
    }

    /// Runs until the change is in effect, or the last segment ends.
    fn run_through(&self, mut state: State, mut clocks: Clocks) -> Option<State> {
        while state.segment < self.costs.segments {
            let latency_s = self.costs.latency(state.segment, clocks.point);
            if clocks.left_s < latency_s {
                return self.run_mixed(state, clocks);
            }
            clocks.left_s -= latency_s;
            if clocks.left_s <= 0.0 {
                let there = Clocks {
                    point: clocks.to,
                    to: clocks.to,
                    left_s: 0.0,
                };
                let energy_j = self.costs.energy(state.segment, clocks.point);
                let mut state = self.end(state, latency_s, energy_j, there)?;
                state.point = clocks.to;
                return Some(state);
            }
            state = self.run(state, clocks)?;
        }
        state.point = clocks.to;
        Some(state)
    }

    /// Runs a segment that begins at one point and ends at the other.
    fn run_mixed(&self, state: State, clocks: Clocks) -> Option<State> {
        let (k, from, to) = (state.segment, clocks.point, clocks.to);
        let slow_s = self.costs.latency(k, from);
        if !slow_s.is_finite() || !self.costs.latency(k, to).is_finite() {
            return None;
        }
        let done = clocks.left_s / slow_s;
        let rest = 1.0 - done;
        let latency_s = clocks.left_s + rest * self.costs.latency(k, to);
        let energy_j = done * self.costs.energy(k, from) + rest * self.costs.energy(k, to);
        let there = Clocks {
            point: to,
            to,
            left_s: 0.0,
        };
        let mut state = self.end(state, latency_s, energy_j, there)?;
        state.point = to;
        Some(state)
    }

    /// Runs a whole segment at the point in effect.
    fn run(&self, state: State, clocks: Clocks) -> Option<State> {
        let latency_s = self.costs.latency(state.segment, clocks.point);
        let energy_j = self.costs.energy(state.segment, clocks.point);
        self.end(state, latency_s, energy_j, clocks)
    }

    /// Ends a segment: those that leave here pay until the next frame begins.
    fn end(&self, from: State, latency_s: f64, energy_j: f64, clocks: Clocks) -> Option<State> {
        let k = from.segment;
        let time_s = from.time_s + latency_s;
        if time_s > self.demand.deadline_s {
            return None;
        }
        let share = self.demand.exit_share[k];
        let idle_j = self.until_next_frame(time_s, clocks)?;
        Some(State {
            segment: k + 1,
            point: from.point,
            time_s,
            energy_j: from.energy_j + self.demand.reach[k] * energy_j + share * idle_j,
            latency_s: from.latency_s + share * time_s,
        })
    }

    /// Energy from an exit to the start of the next frame, the way home
    /// included: at once, as late as possible, or by way of the idle point,
    /// whichever costs least.
    fn until_next_frame(&self, time_s: f64, clocks: Clocks) -> Option<f64> {
        let idle_w = &self.costs.idle_w;
        let (here, home, low) = (clocks.to, self.home, self.costs.idle_point);
        let rest_s = self.demand.interval_s - time_s - clocks.left_s;
        let (home_s, home_j) = self.costs.change(here, home);
        if home_s > rest_s {
            return None;
        }
        let before_j = idle_w[clocks.point] * clocks.left_s;
        let at_once_j = home_j + idle_w[here] * home_s + idle_w[home] * (rest_s - home_s);
        let late_j = home_j + idle_w[here] * rest_s;
        let (down_s, down_j) = self.costs.change(here, low);
        let (up_s, up_j) = self.costs.change(low, home);
        let by_idle_j = if self.costs.may_idle && down_s + up_s <= rest_s {
            down_j + up_j + idle_w[here] * down_s + idle_w[low] * (rest_s - down_s)
        } else {
            f64::INFINITY
        };
        Some(before_j + at_once_j.min(late_j).min(by_idle_j))
    }
}
