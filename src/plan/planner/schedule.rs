//! Schedules, what they do when executed, and what that costs.

use super::costs::{Costs, Demand};
use super::objective::Objective;
use super::step::{Course, Decision, State};

/// The clock point that a segment is to run at, and how the change to it is
/// issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Clock point.
    pub point: usize,
    /// True: as long before the segment starts as the change takes, where the
    /// segments before it leave that much time. False, or where they don't: as
    /// the segment starts.
    pub ahead: bool,
}

/// One turn a segment; the first one's point is the home point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// One a segment.
    pub turns: Vec<Turn>,
}

/// Why a schedule may not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Infeasible {
    /// A branch misses the deadline or is not home when the next frame begins.
    #[error("a frame would be late, or the clocks not back when the next one begins")]
    Late,
    /// It has another number of turns than there are segments, or an unknown point.
    #[error("the schedule is not one for these costs")]
    Foreign,
}

/// What a schedule costs a frame, in expectation over its exits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// From the start of a frame to the start of the next, J.
    pub energy_j: f64,
    /// Until the frame leaves, s.
    pub latency_s: f64,
    /// Of a frame that leaves at the last exit point, s.
    pub longest_s: f64,
}

impl Schedule {
    /// One point for all segments.
    #[must_use]
    pub fn of_one(point: usize, segments: usize) -> Self {
        let turn = Turn { point, ahead: true };
        Self {
            turns: vec![turn; segments],
        }
    }

    /// The decision at `state`: a change under way is never disturbed, so it is
    /// asked again only once it has taken effect.
    pub(super) fn decision(&self, costs: &Costs, state: State) -> Decision {
        let (k, point) = (state.segment, state.point);
        let wanted = self.turns[k].point;
        if wanted != point && takes_effect(costs, k, point, wanted) {
            return Decision::Now { to: wanted };
        }
        let next = (k + 1..self.turns.len()).find(|&m| self.turns[m].point != point);
        match next {
            Some(m)
                if self.turns[m].ahead && fits_ahead(costs, k, point, self.turns[m].point, m) =>
            {
                let to = self.turns[m].point;
                Decision::Ahead { to, before: m }
            }
            _ => Decision::Stay,
        }
    }
}

/// Whether a change that is issued as segment `k` starts is in effect before the
/// last segment ends; else it is worth nothing, and is not issued.
pub(super) fn takes_effect(costs: &Costs, k: usize, from: usize, to: usize) -> bool {
    let left_s: f64 = (k..costs.segments).map(|m| costs.latency(m, from)).sum();
    costs.change(from, to).0 < left_s
}

/// Whether segment `k` is the one in which a change that is to be in effect as
/// segment `before` starts has to be issued.
pub(super) fn fits_ahead(costs: &Costs, k: usize, from: usize, to: usize, before: usize) -> bool {
    let change_s = costs.change(from, to).0;
    let later_s: f64 = (k + 1..before).map(|m| costs.latency(m, from)).sum();
    later_s < change_s && change_s <= later_s + costs.latency(k, from)
        || change_s == 0.0 && before == k + 1
}

/// What `schedule` costs, executed frame after frame.
///
/// # Errors
/// When it may not be executed.
pub fn evaluate(
    costs: &Costs,
    demand: &Demand,
    schedule: &Schedule,
) -> Result<Outcome, Infeasible> {
    let fits = schedule.turns.len() == costs.segments
        && demand.exit_share.len() == costs.segments
        && schedule.turns.iter().all(|turn| turn.point < costs.points);
    if !fits {
        return Err(Infeasible::Foreign);
    }
    let home = schedule.turns[0].point;
    let course = Course {
        costs,
        demand,
        home,
    };
    let mut state = course.start();
    while state.segment < costs.segments {
        let decision = schedule.decision(costs, state);
        state = course.step(state, decision).ok_or(Infeasible::Late)?;
    }
    Ok(Outcome {
        energy_j: state.energy_j,
        latency_s: state.latency_s,
        longest_s: state.time_s,
    })
}

/// The best single point, the lowest of equals; `None` where none keeps the
/// deadline.
#[must_use]
pub fn best_static(
    costs: &Costs,
    demand: &Demand,
    objective: Objective,
) -> Option<(Schedule, Outcome)> {
    let all = (0..costs.points).map(|point| Schedule::of_one(point, costs.segments));
    best(costs, demand, objective, all)
}

/// The best of some schedules, the first of equals.
pub(super) fn best(
    costs: &Costs,
    demand: &Demand,
    objective: Objective,
    schedules: impl Iterator<Item = Schedule>,
) -> Option<(Schedule, Outcome)> {
    let mut best: Option<(Schedule, Outcome)> = None;
    for schedule in schedules {
        let Ok(outcome) = evaluate(costs, demand, &schedule) else {
            continue;
        };
        if best
            .as_ref()
            .is_none_or(|(_, least)| objective.cost(&outcome) < objective.cost(least))
        {
            best = Some((schedule, outcome));
        }
    }
    best
}
