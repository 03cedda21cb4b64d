//! *Overhead*: what the pipeline adds to the work of its stages.
//!
//! A synthetic camera at 30 frames a second (drawn beforehand), every frame
//! taken to a fixed exit. Overhead is that of the summary's `overhead_us`: from
//! a frame's capture until the sink has its result, less the time during which
//! any stage worked on it.

use crate::Request;
use crate::table::{Row, median};
use e4::engine::bundle::Bundle;
use e4::engine::native::NativeEngine;
use e4::gates::{ExitPolicy, Gates};
use e4::pipeline::{Pipeline, Placement, ResultSink, Stage, Stop, ThreadPlan};
use e4::source::generator::{CameraOptions, Generator};
use e4::telemetry::FrameResult;
use std::path::Path;

/// Frames of one turn, and those at its start that do not count.
const FRAMES: u64 = 60;
const WARM_UP: u64 = 12;

/// Keeps the overhead of every frame, in microseconds.
#[derive(Debug)]
struct Overheads(Vec<f64>);

impl ResultSink for Overheads {
    fn accept(&mut self, result: &FrameResult) -> bool {
        if result.frame >= WARM_UP {
            self.0.push(result.overhead_ns() as f64 / 1e3);
        }
        true
    }
}

/// Name and placement. Four threads are placed in two ways: infer alone on the last
/// core and the others on the first, as `e4 run` does, and all of them on the last.
fn placements() -> anyhow::Result<Vec<(&'static str, Placement)>> {
    use Stage::{Capture, Gate, Infer, Sink};
    let cores = e4::rt::cores();
    let (first, last) = (cores.first().copied(), cores.last().copied());
    let thread = |stages: &[Stage], core| ThreadPlan {
        core,
        ..ThreadPlan::unpinned(stages)
    };
    let fused = Placement::new(vec![thread(&Stage::ALL, last)])?;
    let two = Placement::new(vec![
        thread(&[Capture], first),
        thread(&[Infer, Gate, Sink], last),
    ])?;
    let four = Placement::new(vec![
        thread(&[Capture], first),
        thread(&[Infer], last),
        thread(&[Gate], first),
        thread(&[Sink], first),
    ])?;
    let one_core = Stage::ALL.iter().map(|&stage| thread(&[stage], last));
    let one_core = Placement::new(one_core.collect())?;
    Ok(vec![
        ("fused", fused),
        ("2 threads", two),
        ("4 threads", four),
        ("4 threads on one core", one_core),
    ])
}

fn turn(bundle: &Path, exit: usize, placement: &Placement) -> anyhow::Result<Vec<f64>> {
    let bundle = Bundle::open(bundle)?;
    let gates = Gates::open(&bundle, ExitPolicy::Always(exit))?;
    let camera = Generator::new(CameraOptions {
        width: 96,
        height: 96,
        frames: Some(FRAMES),
        prerender: 30,
        ..CameraOptions::default()
    })?;
    let sink = Overheads(Vec::with_capacity(usize::try_from(FRAMES)?));
    let finished = Pipeline::new(
        Box::new(camera),
        Box::new(NativeEngine::new()),
        bundle,
        gates,
        sink,
    )
    .placement(placement.clone())
    .sample(false)
    .run(&Stop::new())?;
    Ok(finished.sink.0)
}

/// All frames of a placement at an exit, and the median of each round.
#[derive(Clone, Default)]
struct Cell {
    frames: Vec<f64>,
    rounds: Vec<f64>,
}

/// One line a placement and exit.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    let exits = Bundle::open(&request.bundle)?.manifest().exits.len();
    let placements = placements()?;
    let mut cells = vec![vec![Cell::default(); exits]; placements.len()];
    let rounds = request.rounds(3);
    for round in 1..=rounds {
        eprintln!("  round {round} of {rounds}");
        for exit in 0..exits {
            for ((_, placement), cells) in placements.iter().zip(&mut cells) {
                let mut frames = turn(&request.bundle, exit + 1, placement)?;
                cells[exit].rounds.push(median(&mut frames));
                cells[exit].frames.extend(frames);
            }
        }
    }
    let mut rows = Vec::new();
    for ((name, _), cells) in placements.iter().zip(&mut cells) {
        let mut before = None;
        for (exit, cell) in (1..).zip(cells) {
            let value = median(&mut cell.frames);
            let what = format!("overhead, {name}, exit {exit}");
            let row = Row::new(what, value, "us", &cell.rounds);
            rows.push(judge(row, name, before));
            before = Some(value);
        }
    }
    Ok(rows)
}

/// The target of a placement, given the overhead at the exit before.
fn judge(row: Row, placement: &str, before: Option<f64>) -> Row {
    let value = row.value;
    match (placement, before) {
        ("fused", _) => row.target("<= 6 us", value <= 6.0),
        ("4 threads" | "4 threads on one core", None) => row.target("<= 25 us", value <= 25.0),
        ("4 threads" | "4 threads on one core", Some(before)) => row
            .against("the exit before", before)
            .target("<= peer + 10 us", value <= before + 10.0),
        _ => row,
    }
}
