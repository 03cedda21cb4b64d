//! Ours: the clocks are searched with the model-based method, each probe measuring
//! every segment; the planner makes the plan of least expected cost from what was
//! measured, one schedule for each class of frames found in the known ones; and the
//! run's own controller executes it.
//!
//! Nothing here is told what the simulation knows: costs come from the simulated
//! sensor, times of changes are those that `e4 profile --transitions` would find.

use super::outcome::float;
use super::scene::{Prepared, Scene};
use super::stream::Method;
use super::survey::{Reading, go_to, idle_w, measure};
use crate::board::SimBoard;
use crate::dvfs::{Controller, Counters, Event, Leads, PlanError, Spread, StagePlan, Way, tables};
use crate::plan::belief::{self, Beliefs, Seen};
use crate::plan::cost::{CostTable, FORMAT as COST_FORMAT, Head, Idle, Row, Source};
use crate::plan::file::{FORMAT, PlanFile, PlannedBelief, PlannedPoint};
use crate::plan::planner::{
    Costs, CostsError, Demand, Objective, Outcome, Schedule, best_static, plan,
};
use crate::plan::search::{self, Goal, Observation};
use crate::plan::{Axis, ClockPoint, Space, space::SpaceError};
use std::sync::Arc;

/// Probes that the search may spend.
pub const PROBES: usize = 32;
/// Classes of frames that are told apart.
const CLASSES: usize = 3;
/// Latency counts as its mean and so many spreads.
const SPREADS: f64 = 2.0;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlannedError {
    /// The board has no clocks to search.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// What was measured does not make a table.
    #[error("the cost table: {0}")]
    Table(String),
    /// The planner does not take it.
    #[error(transparent)]
    Costs(#[from] CostsError),
    /// The controller does not take the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The board was told of fewer segments than the bundle has.
    #[error("segment {0} is not known to the simulated board")]
    Segment(usize),
}

/// How much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One point for all segments and frames.
    Static,
    /// The plan, but nothing is issued ahead of when it is needed.
    Unstaged,
    /// All of it.
    Whole,
}

/// The run's own controller.
#[derive(Debug)]
struct Planned(Controller);

impl Method for Planned {
    fn event(&mut self, event: Event, board: &mut SimBoard) {
        self.0.event(event, board);
    }

    fn poll(&mut self, now_ns: u64, board: &mut SimBoard) -> u64 {
        self.0.poll(now_ns, board)
    }
}

/// One clock point as it was measured.
#[derive(Clone, Debug)]
struct Probed {
    point: ClockPoint,
    segments: Vec<Reading>,
    idle_w: f64,
}

/// Searches, plans and makes the controller ready.
///
/// # Errors
/// When the board or its segments cannot be measured.
pub fn prepare(
    scene: &Scene<'_>,
    board: &mut SimBoard,
    extent: Extent,
) -> Result<Prepared, PlannedError> {
    let (probed, probes) = probe(scene, board)?;
    let table = table(scene, &probed)?;
    let file = planned(scene, &probed, extent)?;
    let tables = tables(board);
    let stage = StagePlan::new(&file, &scene.of.sha256, scene.loads.len(), &tables)?;
    let counters: Arc<Counters> = Arc::default();
    let leads = Box::new(leads(scene, extent));
    let controller = Controller::new(Box::new(stage), &tables, leads, counters.clone());
    Ok(Prepared {
        probes,
        counters: Some(counters),
        plan: Some((table, file)),
        ..Prepared::new(Planned(controller))
    })
}

/// What the search has measured, the last reading of each point, and how many there
/// were.
fn probe(scene: &Scene<'_>, board: &mut SimBoard) -> Result<(Vec<Probed>, u64), PlannedError> {
    let space = Space::new(scene.board.points())?;
    let share = scene.exit_share();
    let goal = Goal {
        cap_s: Some(scene.deadline_s().min(scene.interval_s())),
        budget: PROBES,
    };
    let mut search = search::Method::Model.start(&space, goal, scene.seed);
    let mut probed: Vec<Probed> = Vec::new();
    let (history, _) = search::run(&mut *search, |place| {
        let point = space.points()[place];
        go_to(board, point);
        let segments = (0..scene.loads.len()).map(|k| measure(board, k, |_| ()).ok_or(k));
        let segments = segments.collect::<Result<Vec<_>, _>>();
        let found = Probed {
            point,
            segments: segments.map_err(PlannedError::Segment)?,
            idle_w: idle_w(board),
        };
        let [latency_s, energy_j] = whole(&found, &share, scene);
        probed.retain(|other| other.point != point);
        probed.push(found);
        Ok::<_, PlannedError>(Observation {
            point: place,
            latency_s,
            energy_j,
        })
    })?;
    let probes = u64::try_from(history.len()).unwrap_or(u64::MAX);
    Ok((probed, probes))
}

/// Latency of the deepest frame, and what is to be least of an expected one.
fn whole(probed: &Probed, share: &[f64], scene: &Scene<'_>) -> [f64; 2] {
    let (mut longest_s, mut expected_s, mut work_j) = (0.0, 0.0, 0.0);
    for (k, reading) in probed.segments.iter().enumerate() {
        let reach: f64 = share[k..].iter().sum();
        longest_s += reading.latency_s.mean;
        expected_s += reach * reading.latency_s.mean;
        work_j += reach * reading.energy_j.mean;
    }
    let energy_j = work_j + probed.idle_w * (scene.interval_s() - expected_s).max(0.0);
    let outcome = Outcome {
        energy_j,
        latency_s: expected_s,
        longest_s,
    };
    [longest_s, scene.objective.cost(&outcome)]
}

/// What was measured, marked simulated.
fn table(scene: &Scene<'_>, probed: &[Probed]) -> Result<CostTable, PlannedError> {
    let board = scene.board;
    let head = Head {
        format: COST_FORMAT.to_owned(),
        board: board.name.clone(),
        boundary: format!("{} ({})", board.simulated_boundary(), board.mark()),
        bundle: scene.of.bundle.clone(),
        bundle_sha256: scene.of.sha256.clone(),
        idle: probed
            .iter()
            .map(|probed| Idle::at(probed.point, probed.idle_w, 0.0))
            .collect(),
    };
    let row = |probed: &Probed, (reading, segment): (&Reading, u32)| Row {
        segment,
        point: probed.point,
        latency_s: reading.latency_s,
        energy_j: reading.energy_j,
        samples: reading.samples,
        source: Source::Simulated,
    };
    let rows = probed.iter().flat_map(|probed| {
        let readings = probed.segments.iter().zip(0_u32..);
        readings.map(move |reading| row(probed, reading))
    });
    CostTable::new(head, rows.collect()).map_err(|(_, what)| PlannedError::Table(what))
}

fn costs(scene: &Scene<'_>, probed: &[Probed]) -> Result<Costs, CostsError> {
    let (mut latency_s, mut energy_j) = (Vec::new(), Vec::new());
    for segment in 0..scene.loads.len() {
        for reading in probed.iter().map(|probed| &probed.segments[segment]) {
            let cost = reading.latency_s;
            latency_s.push(cost.mean + SPREADS * cost.spread);
            energy_j.push(reading.energy_j.mean);
        }
    }
    let idle_w = probed.iter().map(|probed| probed.idle_w).collect();
    let pairs = probed.iter().flat_map(|from| {
        let change = |to: &Probed| scene.board.change(from.point, to.point);
        probed.iter().map(change)
    });
    let (change_s, change_j) = pairs.map(|[s, j]| (s, j)).unzip();
    Costs::new(scene.loads.len(), probed.len(), latency_s, energy_j, idle_w)?
        .with_changes(change_s, change_j)
}

/// The schedule for frames that leave so; where none keeps the deadline, the
/// fastest point.
fn schedule(
    scene: &Scene<'_>,
    costs: &Costs,
    share: &[f64],
    extent: Extent,
) -> Result<(Schedule, Option<Outcome>), CostsError> {
    let demand = |objective, deadline_s| -> Result<_, CostsError> {
        let demand = Demand::new(share.to_vec(), scene.interval_s(), deadline_s)?;
        Ok(match extent {
            Extent::Static => best_static(costs, &demand, objective),
            Extent::Unstaged | Extent::Whole => plan(costs, &demand, objective),
        })
    };
    if let Some((schedule, outcome)) = demand(scene.objective, scene.deadline_s())? {
        return Ok((schedule, Some(outcome)));
    }
    let patient = Demand::new(share.to_vec(), 1e6, 1e6)?;
    let fastest = best_static(costs, &patient, Objective::Latency);
    let point = fastest.map_or(0, |(schedule, _)| schedule.turns[0].point);
    Ok((Schedule::of_one(point, scene.loads.len()), None))
}

/// The plan: a schedule for each class of frames where telling them apart is worth
/// the changes between them, else one for all.
fn planned(scene: &Scene<'_>, probed: &[Probed], extent: Extent) -> Result<PlanFile, PlannedError> {
    let costs = costs(scene, probed)?;
    let overall = scene.exit_share();
    let one = Beliefs {
        classes: vec![belief::Belief::of_exits(overall.clone())],
        next: vec![vec![1.0]],
    };
    let single = schedule(scene, &costs, &overall, extent)?;
    let file = |beliefs: &Beliefs, schedules: &[Schedule]| PlanFile {
        format: FORMAT.to_owned(),
        board: scene.board.name.clone(),
        bundle: scene.of.bundle.clone(),
        bundle_sha256: scene.of.sha256.clone(),
        source: Source::Simulated,
        boundary: scene.board.simulated_boundary(),
        objective: scene.objective,
        deadline_ms: 1e3 * scene.deadline_s(),
        idle: idle(scene, probed, schedules),
        beliefs: classes(beliefs, schedules, probed),
    };
    if extent == Extent::Static {
        let mut plan = file(&one, &[single.0]);
        plan.idle = None;
        return Ok(plan);
    }
    let seen: Vec<Seen> = scene.known.iter().map(seen).collect();
    let beliefs = belief::learn(&seen, scene.loads.len(), CLASSES);
    let mut schedules = Vec::new();
    let mut kept = Vec::new();
    for class in &beliefs.classes {
        let (schedule, outcome) = schedule(scene, &costs, &class.exit_share, extent)?;
        schedules.push(schedule);
        kept.push(outcome);
    }
    let apart = expected(scene, &beliefs, &schedules, &kept, probed);
    let together = single.1.map(|outcome| scene.objective.cost(&outcome));
    match apart.zip(together) {
        Some((apart, together)) if apart < together => Ok(file(&beliefs, &schedules)),
        _ => Ok(file(&one, &[single.0])),
    }
}

fn seen(frame: &crate::sim::trace::TraceFrame) -> Seen {
    Seen {
        exit: frame.exit.into(),
        first_gate: frame.exits[0].gate,
    }
}

/// What the schedules cost in the long run, the changes between classes included;
/// `None` where one of them keeps no deadline.
fn expected(
    scene: &Scene<'_>,
    beliefs: &Beliefs,
    schedules: &[Schedule],
    outcomes: &[Option<Outcome>],
    probed: &[Probed],
) -> Option<f64> {
    let share = steady(&beliefs.next);
    let point = |class: usize| probed[schedules[class].turns[0].point].point;
    let mut sum = Outcome {
        energy_j: 0.0,
        latency_s: 0.0,
        longest_s: 0.0,
    };
    for (from, outcome) in outcomes.iter().enumerate() {
        let outcome = outcome.as_ref()?;
        let moves = beliefs.next[from].iter().enumerate();
        let change_j = |(to, p): (usize, &f64)| p * scene.board.change(point(from), point(to))[1];
        sum.energy_j += share[from] * (outcome.energy_j + moves.map(change_j).sum::<f64>());
        sum.latency_s += share[from] * outcome.latency_s;
    }
    Some(scene.objective.cost(&sum))
}

/// Shares of the classes in the long run.
fn steady(next: &[Vec<f64>]) -> Vec<f64> {
    const ROUNDS: usize = 1_000;
    let count = next.len();
    let mut share = vec![1.0 / float(u64::try_from(count).unwrap_or(1)); count];
    for _ in 0..ROUNDS {
        let into = |to: usize| (0..count).map(|from| share[from] * next[from][to]).sum();
        share = (0..count).map(into).collect();
    }
    share
}

fn classes(beliefs: &Beliefs, schedules: &[Schedule], probed: &[Probed]) -> Vec<PlannedBelief> {
    let parts = beliefs.classes.iter().zip(&beliefs.next).zip(schedules);
    let class = |((class, next), schedule): ((&belief::Belief, &Vec<f64>), &Schedule)| {
        let turns = schedule.turns.iter();
        PlannedBelief {
            exit_share: class.exit_share.clone(),
            next: next.clone(),
            evidence: class.evidence.clone(),
            segments: turns
                .map(|turn| PlannedPoint::new(probed[turn.point].point, turn.ahead))
                .collect(),
        }
    };
    parts.map(class).collect()
}

/// Where the board waits between frames, if going there and back is worth it from
/// the home of every schedule.
fn idle(scene: &Scene<'_>, probed: &[Probed], schedules: &[Schedule]) -> Option<PlannedPoint> {
    let lowest = probed.iter().min_by(|a, b| a.idle_w.total_cmp(&b.idle_w))?;
    let pays = |schedule: &Schedule| {
        let home = &probed[schedule.turns[0].point];
        let reading = home.segments.iter().map(|r| r.latency_s.mean);
        let [down_s, down_j] = scene.board.change(home.point, lowest.point);
        let [up_s, up_j] = scene.board.change(lowest.point, home.point);
        let rest_s = scene.interval_s() - reading.sum::<f64>() - down_s - up_s;
        (home.idle_w - lowest.idle_w) * rest_s > down_j + up_j
    };
    schedules
        .iter()
        .all(pays)
        .then(|| PlannedPoint::new(lowest.point, true))
}

/// Times of changes, as `e4 profile --transitions` would find them.
fn leads(scene: &Scene<'_>, extent: Extent) -> Leads {
    let mut leads = match extent {
        Extent::Whole => Leads::default(),
        Extent::Static | Extent::Unstaged => Leads::none(),
    };
    for axis in Axis::ALL {
        for way in [Way::Down, Way::Up] {
            let [mid, p90] = scene.board.change_spread_ms(axis, way == Way::Up);
            leads.measured(axis.index(), way, Spread::of(ns(mid), ns(p90)));
        }
    }
    leads
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few milliseconds; the cast saturates"
)]
fn ns(ms: f64) -> u64 {
    (ms * 1e6) as u64
}
