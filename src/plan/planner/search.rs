//! Exact search over all schedules: labels along the segments, bounded below by
//! [`Bound`] and above by the best schedule known.

use super::bound::Bound;
use super::costs::{Costs, Demand};
use super::schedule::{Outcome, Schedule, Turn, evaluate, fits_ahead};
use super::step::{Course, Decision, State, Weights};

/// The schedule of least weighted cost, or `None` where none keeps the deadline.
pub(super) fn least(
    costs: &Costs,
    demand: &Demand,
    weights: Weights,
) -> Option<(Schedule, Outcome)> {
    if demand.exit_share.len() != costs.segments {
        return None;
    }
    let mut search = Search {
        costs,
        demand,
        weights,
        bound: Bound::new(costs, demand, weights),
        best: None,
    };
    search.warm_up();
    let mut homes: Vec<(f64, usize)> = (0..costs.points)
        .map(|home| (search.bound.of_home(home), home))
        .collect();
    homes.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (bound, home) in homes {
        if search.may_beat(bound) {
            search.from_home(home);
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

/// A state with the way that led there.
#[derive(Clone, Copy, Debug)]
struct Label {
    state: State,
    from: usize,
    decision: Decision,
}

#[derive(Debug)]
struct Search<'a> {
    costs: &'a Costs,
    demand: &'a Demand,
    weights: Weights,
    bound: Bound,
    best: Option<Best>,
}

impl Search<'_> {
    fn cost(&self, energy_j: f64, latency_s: f64) -> f64 {
        self.weights.per_j * energy_j + self.weights.per_s * latency_s
    }

    /// Whether something of at least this cost is worth a look.
    fn may_beat(&self, cost: f64) -> bool {
        self.best
            .as_ref()
            .is_none_or(|best| cost < best.cost - 1e-12 * best.cost.abs())
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
    fn warm_up(&mut self) {
        for point in 0..self.costs.points {
            self.offer(Schedule::of_one(point, self.costs.segments));
        }
        for path in self.bound.paths(self.costs) {
            let turn = |point| Turn { point, ahead: true };
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

    fn from_home(&mut self, home: usize) {
        let course = Course {
            costs: self.costs,
            demand: self.demand,
            home,
        };
        let segments = self.costs.segments;
        let mut labels = vec![Label {
            state: course.start(),
            from: 0,
            decision: Decision::Stay,
        }];
        let mut open: Vec<Vec<usize>> = vec![Vec::new(); (segments + 1) * self.costs.points];
        open[home].push(0);
        for at in 0..segments * self.costs.points {
            for label in std::mem::take(&mut open[at]) {
                self.extend(&course, label, &mut labels, &mut open);
            }
        }
        let last = open.drain(..).skip(segments * self.costs.points).flatten();
        let least = last.min_by(|&a, &b| {
            let cost = |l: usize| self.cost(labels[l].state.energy_j, labels[l].state.latency_s);
            cost(a).total_cmp(&cost(b))
        });
        if let Some(label) = least {
            self.offer(schedule(&labels, label, segments));
        }
    }

    fn extend(
        &mut self,
        course: &Course<'_>,
        from: usize,
        labels: &mut Vec<Label>,
        open: &mut [Vec<usize>],
    ) {
        let state = labels[from].state;
        if !self.may_beat(self.bound.of(&state)) {
            return;
        }
        self.take(course, from, Decision::Stay, labels, open);
        let k = state.segment;
        let just_changed = k == 0 || matches!(labels[from].decision, Decision::Ahead { .. });
        for to in (0..self.costs.points).filter(|&to| to != state.point) {
            // A frame begins at home, and a segment has one turn: where a change has
            // just taken effect there is nothing to change at once.
            if !just_changed {
                self.take(course, from, Decision::Now { to }, labels, open);
            }
            for before in k + 1..self.costs.segments {
                if fits_ahead(self.costs, k, state.point, to, before) {
                    self.take(course, from, Decision::Ahead { to, before }, labels, open);
                }
            }
        }
    }

    fn take(
        &mut self,
        course: &Course<'_>,
        from: usize,
        decision: Decision,
        labels: &mut Vec<Label>,
        open: &mut [Vec<usize>],
    ) {
        let Some(state) = course.step(labels[from].state, decision) else {
            return;
        };
        if !self.may_beat(self.bound.of(&state)) {
            return;
        }
        let label = Label {
            state,
            from,
            decision,
        };
        let cell = &mut open[state.segment * self.costs.points + state.point];
        if cell
            .iter()
            .any(|&l| self.dominates(course, &labels[l], &label))
        {
            return;
        }
        cell.retain(|&l| !self.dominates(course, &label, &labels[l]));
        cell.push(labels.len());
        labels.push(label);
    }

    /// Whether nothing that follows `b` can be better than the same after `a`:
    /// `a` is no later, and no dearer even if the time it is ahead has to be
    /// waited out at the home point, and it may decide as freely.
    fn dominates(&self, course: &Course<'_>, a: &Label, b: &Label) -> bool {
        let bound_to_wait = |l: &Label| matches!(l.decision, Decision::Ahead { .. });
        if bound_to_wait(a) && !bound_to_wait(b) {
            return false;
        }
        let (a, b) = (&a.state, &b.state);
        let ahead_s = b.time_s - a.time_s;
        let reach = self.demand.reach.get(a.segment).copied().unwrap_or(0.0);
        let waiting_j = reach * ahead_s * self.costs.idle_w[course.home];
        let sooner_s = reach * ahead_s;
        ahead_s >= 0.0
            && self.cost(a.energy_j + waiting_j, a.latency_s - sooner_s)
                <= self.cost(b.energy_j, b.latency_s)
    }
}

/// The schedule whose decisions led to `label`.
fn schedule(labels: &[Label], mut label: usize, segments: usize) -> Schedule {
    let turn = |point, ahead| Turn { point, ahead };
    let mut turns = vec![turn(labels[0].state.point, true); segments];
    let mut end = segments;
    while label != 0 {
        let Label { from, decision, .. } = labels[label];
        let State { segment, point, .. } = labels[from].state;
        let held = match decision {
            Decision::Stay | Decision::Ahead { .. } => turn(point, true),
            Decision::Now { to } => turn(to, false),
        };
        turns[segment..end].fill(held);
        end = segment;
        label = from;
    }
    Schedule { turns }
}
