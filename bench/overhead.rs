//! What the pipeline adds to the work of its stages.
//!
//! A synthetic camera at 30 frames a second (drawn beforehand), every frame
//! taken to a fixed exit. Overhead is the time from a frame's capture until its
//! result is with the sink, less the time that making the tensor, the segments
//! and the gates took. Placements and exits take turns, round by round; the
//! table gives the median and the 90th percentile over all rounds.
//!
//! `cargo bench --bench overhead [-- ROUNDS [BUNDLE]]`

use anyhow::Context;
use e4::engine::bundle::Bundle;
use e4::engine::cpu::CpuEngine;
use e4::gates::{ExitPolicy, Gates};
use e4::monotonic::now_ns;
use e4::pipeline::{Pipeline, Placement, ResultSink, Stage, Stop, ThreadPlan};
use e4::source::generator::{CameraOptions, Generator};
use e4::telemetry::FrameResult;
use std::path::Path;

/// Frames of one turn, and those at its start that do not count.
const FRAMES: u64 = 75;
const WARM_UP: u64 = 15;

/// Keeps the overhead of every frame.
#[derive(Debug)]
struct Overheads(Vec<u64>);

impl ResultSink for Overheads {
    fn accept(&mut self, result: &FrameResult) -> bool {
        let end_to_end_ns = now_ns().saturating_sub(result.captured_ns);
        if result.frame >= WARM_UP {
            self.0.push(end_to_end_ns.saturating_sub(result.work_ns()));
        }
        true
    }
}

/// Name and placement: infer alone on the last core, the others on the first.
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
    Ok(vec![
        ("fused", fused),
        ("2 threads", two),
        ("4 threads", four),
    ])
}

fn turn(bundle: &Path, exit: usize, placement: &Placement) -> anyhow::Result<Vec<u64>> {
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
        Box::new(CpuEngine::new()),
        bundle,
        gates,
        sink,
    )
    .placement(placement.clone())
    .sample(false)
    .run(&Stop::new())?;
    Ok(finished.sink.0)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds in a table")]
fn percentile_us(sorted_ns: &[u64], percent: usize) -> f64 {
    sorted_ns
        .get(sorted_ns.len() * percent / 100)
        .map_or(f64::NAN, |&ns| ns as f64 / 1e3)
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let rounds: usize = arguments
        .next()
        .map_or(Ok(3), |n| n.parse())
        .context("ROUNDS")?;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/engines/mobilenetv2-e5").to_owned();
    let bundle = arguments.next().unwrap_or(shipped);
    let bundle = Path::new(&bundle);
    let exits = Bundle::open(bundle)?.manifest().exits.len();
    let placements = placements()?;
    let mut overheads = vec![Vec::new(); placements.len() * exits];
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for exit in 1..=exits {
            for (index, (_, placement)) in placements.iter().enumerate() {
                overheads[index * exits + exit - 1].extend(turn(bundle, exit, placement)?);
            }
        }
    }
    println!(
        "overhead in us, p50 / p90, {} frames a cell, 30 fps",
        overheads[0].len()
    );
    print!("{:<10}", "");
    (1..=exits).for_each(|exit| print!("{:>18}", format!("exit {exit}")));
    println!();
    for (index, (name, _)) in placements.iter().enumerate() {
        print!("{name:<10}");
        for cell in &mut overheads[index * exits..(index + 1) * exits] {
            cell.sort_unstable();
            print!(
                "{:>18}",
                format!(
                    "{:.1} / {:.1}",
                    percentile_us(cell, 50),
                    percentile_us(cell, 90)
                )
            );
        }
        println!();
    }
    Ok(())
}
