//! A plan from a cost table: which frames to expect, what is to be least and how
//! long clocks take to change go in, an `e4.plan/1` comes out.
//!
//! Guarantees: the plan keeps the deadline in every branch by the table's own means
//! and `spreads` spreads; by the table it is never worse than the best single point
//! of all that the table holds; equal input gives an equal plan. Not guaranteed:
//! that the table is right. Cost: milliseconds; it allocates.
//!
//! The energy of a change of clocks is not measured by anybody here and counts as
//! nothing; its time counts, and so does what the board draws meanwhile.

mod prune;
mod table;

pub use prune::MOST;
use table::Gathered;

use super::belief::{Belief, Beliefs};
use super::changes::Changes;
use super::cost::CostTable;
use super::file::{FORMAT, PlanFile, PlannedBelief, PlannedPoint, UNKNOWN_BOARD};
use super::planner::{
    Costs, CostsError, Demand, Objective, Outcome, Schedule, best_static, evaluate, plan,
};
use super::point::ClockPoint;

/// What a plan is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is to be least.
    pub objective: Objective,
    /// Every frame leaves within it, s.
    pub deadline_s: f64,
    /// From a frame to the next, s.
    pub interval_s: f64,
    /// A latency counts as its mean and so many spreads.
    pub spreads: f64,
    /// No segment may draw more, W.
    pub power_cap_w: Option<f64>,
    /// Which frames to expect.
    pub beliefs: Beliefs,
    /// How long clocks take to change.
    pub changes: Changes,
    /// What the board draws while it waits where the table does not say, W.
    pub idle_w: Option<f64>,
    /// The highest clocks allowed now; 0 limits nothing.
    pub limit: ClockPoint,
    /// Name and digest of the bundle where the table has none.
    pub bundle: Option<(String, String)>,
    /// Name of the board where the table has none.
    pub board: String,
}

impl Ask {
    /// The least energy within a deadline, which is also the time to the next frame,
    /// of frames that leave so.
    #[must_use]
    pub fn new(deadline_s: f64, exit_share: Vec<f64>) -> Self {
        Self {
            objective: Objective::Energy,
            deadline_s,
            interval_s: deadline_s,
            spreads: 2.0,
            power_cap_w: None,
            beliefs: Beliefs {
                classes: vec![Belief::of_exits(exit_share)],
                next: vec![vec![1.0]],
            },
            changes: Changes::default(),
            idle_w: None,
            limit: ClockPoint::default(),
            bundle: None,
            board: String::new(),
        }
    }
}

/// What was planned for one belief.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What its frames cost, by the table.
    pub outcome: Outcome,
    /// The best single point, and what the frames cost there.
    pub fixed: Option<(ClockPoint, Outcome)>,
}

/// A plan with what is expected of it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The plan.
    pub file: PlanFile,
    /// One a belief.
    pub parts: Vec<Part>,
    /// Clock points that were planned with.
    pub points: usize,
    /// Whether the power of a board that waits is known; otherwise it counts as
    /// nothing.
    pub knows_idle: bool,
}

/// Why there is no plan. One sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MakeError {
    /// A segment has no row.
    #[error("the table has no row of segment {0}, but of a later one")]
    Segment(u32),
    /// No row at all.
    #[error("the table has no rows")]
    Empty,
    /// No point is there for all segments and allowed.
    #[error("no clock point within {limit} has a row for every segment")]
    NoPoint {
        /// What is allowed.
        limit: String,
    },
    /// The exits are those of another network.
    #[error(
        "the exit shares are of {found} exit points, but the table has {expected} segments, one for each exit point"
    )]
    Exits {
        /// Those given.
        found: usize,
        /// Those of the table.
        expected: usize,
    },
    /// Nothing keeps the deadline.
    #[error(
        "no clock point keeps the deadline of {deadline_ms:.3} ms: a frame that leaves at the last exit takes at least {least_ms:.3} ms at {point} (mean and {spreads} spreads); raise --deadline-ms{cap}"
    )]
    Deadline {
        /// The deadline.
        deadline_ms: f64,
        /// The fastest.
        least_ms: f64,
        /// Where.
        point: ClockPoint,
        /// Spreads.
        spreads: f64,
        /// What else to raise.
        cap: &'static str,
    },
    /// Nothing stays below the power cap.
    #[error("no clock point draws at most {watts} W in every segment; raise --power-cap-w")]
    Power {
        /// The cap.
        watts: f64,
    },
    /// Numbers do not fit.
    #[error(transparent)]
    Costs(#[from] CostsError),
}

/// Plans.
///
/// # Errors
/// When the table lacks something or nothing keeps deadline and power cap.
pub fn make(table: &CostTable, ask: &Ask) -> Result<Made, MakeError> {
    let all = Gathered::new(table, ask)?;
    for class in &ask.beliefs.classes {
        if class.exit_share.len() != all.segments {
            return Err(MakeError::Exits {
                found: class.exit_share.len(),
                expected: all.segments,
            });
        }
    }
    let demands: Vec<Demand> = ask
        .beliefs
        .classes
        .iter()
        .map(|c| Demand::new(c.exit_share.clone(), ask.interval_s, ask.deadline_s))
        .collect::<Result<_, _>>()?;
    let kept = prune::candidates(&all, ask, &demands)?;
    let some = all.only(&kept);
    let costs = some.costs(ask)?;
    let mut parts = Vec::with_capacity(demands.len());
    let mut schedules = Vec::with_capacity(demands.len());
    for demand in &demands {
        let (schedule, outcome) = plan(&costs, demand, ask.objective)
            .ok_or_else(|| all.why_not(ask.power_cap_w, ask.deadline_s, ask.spreads))?;
        let fixed = best_static(&costs, demand, ask.objective);
        let fixed = fixed.map(|(s, outcome)| (some.points[s.turns[0].point], outcome));
        parts.push(Part { outcome, fixed });
        schedules.push(schedule);
    }
    let idle = idle(&costs, &demands, &schedules).map(|point| some.points[point]);
    Ok(Made {
        file: file(
            table,
            ask,
            &some,
            &schedules,
            idle.filter(|_| all.knows_idle),
        ),
        parts,
        points: kept.len(),
        knows_idle: all.knows_idle,
    })
}

/// Where the board is to wait, if going there is worth anything.
fn idle(costs: &Costs, demands: &[Demand], schedules: &[Schedule]) -> Option<usize> {
    let without = costs.clone().without_idle_point();
    let energy = |costs: &Costs| -> Option<f64> {
        let each = demands.iter().zip(schedules);
        let each = each.map(|(d, s)| Some(evaluate(costs, d, s).ok()?.energy_j));
        each.sum()
    };
    let gains = match (energy(costs), energy(&without)) {
        (Some(with), Some(without)) => with < without * (1.0 - 1e-6),
        _ => false,
    };
    let home = schedules
        .iter()
        .all(|s| s.turns[0].point == costs.idle_point());
    (gains && !home).then(|| costs.idle_point())
}

fn file(
    table: &CostTable,
    ask: &Ask,
    some: &Gathered,
    schedules: &[Schedule],
    idle: Option<ClockPoint>,
) -> PlanFile {
    let head = &table.head;
    let or = |own: &str, other: &str| match own.is_empty() {
        true => other.to_owned(),
        false => own.to_owned(),
    };
    let (bundle, digest) = ask.bundle.clone().unwrap_or_default();
    let classes = ask.beliefs.classes.iter().zip(&ask.beliefs.next);
    let belief = |((class, next), schedule): ((&Belief, &Vec<f64>), &Schedule)| PlannedBelief {
        exit_share: class.exit_share.clone(),
        next: next.clone(),
        evidence: class.evidence.clone(),
        segments: schedule
            .turns
            .iter()
            .map(|turn| PlannedPoint::new(some.points[turn.point], turn.ahead))
            .collect(),
    };
    PlanFile {
        format: FORMAT.to_owned(),
        board: or(&or(&head.board, &ask.board), UNKNOWN_BOARD),
        bundle: or(&head.bundle, &bundle),
        bundle_sha256: or(&head.bundle_sha256, &digest),
        source: some.source,
        boundary: head.boundary.clone(),
        objective: ask.objective,
        deadline_ms: ask.deadline_s * 1e3,
        idle: idle.map(|point| PlannedPoint::new(point, true)),
        beliefs: classes.zip(schedules).map(belief).collect(),
    }
}

#[cfg(test)]
mod tests;
