//! All that a frame can do from one home point, as far as it may be worth it.

use super::bound::{Priced, Relaxation};
use super::schedule::{Schedule, Turn, fits_ahead, takes_effect};
use super::step::{Course, Decision, State};

/// A state with the way that led there.
#[derive(Clone, Copy, Debug)]
struct Label {
    state: State,
    from: usize,
    decision: Decision,
}

/// Labels of one home point. Of two at the same segment and point, one that is
/// later and dearer is dropped; so is one that cannot stay below the limit.
#[derive(Debug)]
pub(super) struct Labels<'a> {
    course: Course<'a>,
    relaxation: &'a Relaxation<'a>,
    prices: &'a [Priced],
    limit: f64,
    reachable: &'a [usize],
    labels: Vec<Label>,
    /// `k * P + p`: labels of segment `k` with `p` in effect.
    open: Vec<Vec<usize>>,
}

impl<'a> Labels<'a> {
    pub fn new(
        course: Course<'a>,
        relaxation: &'a Relaxation<'a>,
        prices: &'a [Priced],
        reachable: &'a [usize],
        limit: f64,
    ) -> Self {
        let cells = (course.costs.segments + 1) * course.costs.points;
        let mut open = vec![Vec::new(); cells];
        open[course.home].push(0);
        Self {
            course,
            relaxation,
            prices,
            limit,
            reachable,
            labels: vec![Label {
                state: course.start(),
                from: 0,
                decision: Decision::Stay,
            }],
            open,
        }
    }

    /// The schedule of least cost, if it stays below the limit.
    pub fn least(mut self) -> Option<Schedule> {
        let ends = self.course.costs.segments * self.course.costs.points;
        for cell in 0..ends {
            for label in std::mem::take(&mut self.open[cell]) {
                self.extend(label);
            }
        }
        let ended = self.open[ends..].iter().flatten().copied();
        let cost = |label: usize| self.relaxation.spent(&self.labels[label].state);
        let least = ended.min_by(|&a, &b| cost(a).total_cmp(&cost(b)))?;
        Some(self.schedule(least))
    }

    fn extend(&mut self, from: usize) {
        let Label {
            state, decision, ..
        } = self.labels[from];
        if self.relaxation.of(self.prices, &state) >= self.limit {
            return;
        }
        self.take(from, Decision::Stay);
        let (k, costs) = (state.segment, self.course.costs);
        // A frame begins at home, and a segment has one turn: where a change has
        // just taken effect there is nothing to change at once.
        let just_changed = k == 0 || matches!(decision, Decision::Ahead { .. });
        for &to in self.reachable.iter().filter(|&&to| to != state.point) {
            if !just_changed && takes_effect(costs, k, state.point, to) {
                self.take(from, Decision::Now { to });
            }
            for before in k + 1..costs.segments {
                if fits_ahead(costs, k, state.point, to, before) {
                    self.take(from, Decision::Ahead { to, before });
                }
            }
        }
    }

    fn take(&mut self, from: usize, decision: Decision) {
        let state = self.labels[from].state;
        let coarse = |p: &Priced| self.relaxation.of_decision(p, &state, decision);
        if self.prices.iter().any(|p| coarse(p) >= self.limit) {
            return;
        }
        let Some(state) = self.course.step(state, decision) else {
            return;
        };
        if self.relaxation.of(self.prices, &state) >= self.limit {
            return;
        }
        let label = Label {
            state,
            from,
            decision,
        };
        let cell = &self.open[state.segment * self.course.costs.points + state.point];
        if cell
            .iter()
            .any(|&l| self.dominates(&self.labels[l], &label))
        {
            return;
        }
        let kept = cell.iter().copied();
        let mut kept: Vec<usize> = kept
            .filter(|&l| !self.dominates(&label, &self.labels[l]))
            .collect();
        kept.push(self.labels.len());
        self.open[state.segment * self.course.costs.points + state.point] = kept;
        self.labels.push(label);
    }

    /// Whether nothing that follows `b` can be better than the same after `a`:
    /// `a` is no later, and no dearer even if the time it is ahead has to be
    /// waited out at the home point, and it may decide as freely.
    fn dominates(&self, a: &Label, b: &Label) -> bool {
        let bound_to_wait = |l: &Label| matches!(l.decision, Decision::Ahead { .. });
        if bound_to_wait(a) && !bound_to_wait(b) {
            return false;
        }
        let Course {
            costs,
            demand,
            home,
        } = self.course;
        let ahead_s = b.state.time_s - a.state.time_s;
        let reach = demand.reach.get(a.state.segment).copied().unwrap_or(0.0);
        let waited = State {
            energy_j: a.state.energy_j + reach * ahead_s * costs.idle_w[home],
            latency_s: a.state.latency_s - reach * ahead_s,
            ..a.state
        };
        ahead_s >= 0.0 && self.relaxation.spent(&waited) <= self.relaxation.spent(&b.state)
    }

    /// The schedule whose decisions led to `label`.
    fn schedule(&self, mut label: usize) -> Schedule {
        let turn = |point, ahead| Turn { point, ahead };
        let mut turns = vec![turn(self.course.home, true); self.course.costs.segments];
        let mut end = turns.len();
        while label != 0 {
            let Label { from, decision, .. } = self.labels[label];
            let State { segment, point, .. } = self.labels[from].state;
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
}
