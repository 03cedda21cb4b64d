//! The planner: a full solve of 5 segments at 64 clock points for one belief, and apart
//! from it what the dvfs thread does to take a plan over.

use crate::Request;
use crate::table::Row;
use anyhow::{Context, Result};
use e4::board::{Description, SegmentLoad, boards, loads};
use e4::dvfs::{Controller, Counters, StagePlan};
use e4::engine::bundle::Bundle;
use e4::plan::ClockPoint;
use e4::plan::cost::Source;
use e4::plan::file::{FORMAT, PlanFile, PlannedBelief, PlannedPoint};
use e4::plan::planner::{Demand, Objective, plan};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const POINTS: usize = 64;
const ROUNDS: usize = 9;
const SHARE: [f64; 5] = [0.61, 0.19, 0.07, 0.04, 0.09];

/// One problem a board, and each with segments that outlast changes of clocks.
pub fn run(request: &Request) -> Result<Vec<Row>> {
    let bundle = Bundle::open(&request.bundle)?;
    let mobilenet = loads(&bundle)?;
    let heavy = vec![SegmentLoad::RESNET50; mobilenet.len()];
    let rounds = request.rounds(ROUNDS);
    let mut rows = Vec::new();
    for board in boards() {
        for (name, loads) in [("MobileNetV2", &mobilenet), ("5 x ResNet-50", &heavy)] {
            rows.push(solve(board, name, loads, rounds)?);
        }
    }
    rows.push(swap(rounds)?);
    Ok(rows)
}

/// 64 points, evenly over the whole table.
fn points(board: &Description) -> Vec<ClockPoint> {
    let all = board.points();
    let step = all.len() as f64 / POINTS as f64;
    let at = |i: usize| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a short list"
        )]
        let place = (step * (i as f64 + 0.5)) as usize;
        all[place.min(all.len() - 1)]
    };
    (0..POINTS.min(all.len())).map(at).collect()
}

fn solve(board: &Description, name: &str, loads: &[SegmentLoad], rounds: usize) -> Result<Row> {
    let points = points(board);
    let costs = board.costs(loads, &points, 2.0)?;
    let demand = demand(board, loads, &points)?;
    let times = timed(rounds, || {
        plan(&costs, &demand, Objective::Energy).is_some()
    });
    let middle = median(&times);
    Ok(
        Row::new(format!("plan: {} {name}", board.name), middle, "ms", &times)
            .target("< 1 ms", middle < 1.0),
    )
}

/// A deadline in the middle between the fastest point's and twice that, and frames as
/// often.
fn demand(board: &Description, loads: &[SegmentLoad], points: &[ClockPoint]) -> Result<Demand> {
    let longest = |p: &ClockPoint| loads.iter().map(|l| board.cost(l, *p)[0]).sum::<f64>();
    let least = points.iter().map(longest).fold(f64::INFINITY, f64::min);
    let share: Vec<f64> = match loads.len() {
        5 => SHARE.to_vec(),
        n => vec![1.0 / n as f64; n],
    };
    Ok(Demand::new(share, 2.0 * least, 1.5 * least)?)
}

fn timed(rounds: usize, mut work: impl FnMut() -> bool) -> Vec<f64> {
    let mut all = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let began = Instant::now();
            black_box(work());
            best = best.min(began.elapsed().as_secs_f64() * 1e3);
        }
        all.push(best);
    }
    all
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A plan of five segments takes another's place.
fn swap(rounds: usize) -> Result<Row> {
    let tables = [vec![1, 2, 3], vec![1, 2, 3], Vec::new()];
    let plan = |khz: u32| -> Result<Box<StagePlan>> {
        let point = PlannedPoint::new(ClockPoint::new([khz, khz, 0]), true);
        let file = PlanFile {
            format: FORMAT.to_owned(),
            board: String::new(),
            bundle: String::new(),
            bundle_sha256: String::new(),
            source: Source::Simulated,
            boundary: String::new(),
            objective: Objective::Energy,
            deadline_ms: 33.3,
            idle: None,
            beliefs: vec![PlannedBelief {
                exit_share: SHARE.to_vec(),
                next: vec![1.0],
                evidence: Vec::new(),
                segments: vec![point; SHARE.len()],
            }],
        };
        Ok(Box::new(StagePlan::new(&file, "", SHARE.len(), &tables)?))
    };
    let counters: Arc<Counters> = Arc::default();
    let mut controller = Controller::new(plan(1)?, &tables, Box::default(), counters);
    let mut other = Some(plan(2)?);
    const SWAPS: u32 = 1_000;
    let mut all = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        for _ in 0..SWAPS {
            let next = other.take().context("a plan is lost")?;
            other = Some(controller.swap(next));
        }
        all.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(SWAPS));
    }
    Ok(Row::new(
        "plan: swap on the dvfs thread",
        median(&all),
        "ns",
        &all,
    ))
}
