//! *Gates*: what each exit's head and gate cost beside the segment before them.
//! Segment and gate take turns on one thread, once on tract's segments and once on
//! the native engine's.

use crate::Request;
use crate::table::{Row, median};
use anyhow::{Context, anyhow};
use e4::engine::bundle::Bundle;
use e4::engine::cpu::CpuEngine;
use e4::engine::native::NativeEngine;
use e4::engine::{Buffer, Engine, Segment, SegmentIo};
use e4::gates::{ExitPolicy, Gates};
use e4::monotonic::now_ns;

/// Frames of a round; there are no turns but segment and gate.
const FRAMES: usize = 100;

/// One segment with its buffers, and the times of this round and of all.
struct Stage {
    segment: Box<dyn Segment>,
    io: Option<SegmentIo>,
    segment_us: Vec<f64>,
    gate_us: Vec<f64>,
    rounds: Vec<f64>,
}

/// Runs all segments of one frame, and each exit's gate after its segment.
fn frame(stages: &mut [Stage], gates: &mut Gates) -> anyhow::Result<()> {
    gates.begin_frame();
    let mut map: Option<Vec<f32>> = None;
    for (exit, stage) in stages.iter_mut().enumerate() {
        let mut io = stage.io.take().context("buffers")?;
        if let (Some(map), Some(input)) = (&map, io.input.as_host_mut()) {
            input.copy_from_slice(map);
        }
        let started_ns = now_ns();
        stage.segment.enqueue(io).map_err(|failed| failed.error)?;
        let io = stage.segment.wait().map_err(|failed| failed.error)?;
        let segment_ns = now_ns();
        let pooled = io.pooled.as_host().context("host memory")?;
        gates.evaluate(exit, pooled)?;
        let gate_ns = now_ns();
        stage
            .segment_us
            .push((segment_ns - started_ns) as f64 / 1e3);
        stage.gate_us.push((gate_ns - segment_ns) as f64 / 1e3);
        let output = io.output.as_ref().and_then(Buffer::as_host);
        map = output.map(<[f32]>::to_vec);
        stage.io = Some(io);
    }
    gates.commit();
    Ok(())
}

fn load(request: &Request, engine: &dyn Engine, bundle: &Bundle) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for (index, spec) in bundle.manifest().segments.iter().enumerate() {
        stages.push(Stage {
            segment: engine.load(bundle, index)?,
            io: Some(SegmentIo::new(engine, spec)?),
            segment_us: Vec::with_capacity(FRAMES * request.rounds(3)),
            gate_us: Vec::with_capacity(FRAMES * request.rounds(3)),
            rounds: Vec::new(),
        });
    }
    Ok(stages)
}

/// One line an exit and engine, and one for a whole frame on the native engine.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    // A thread of its own, so that the set-up ends with it.
    std::thread::scope(|scope| scope.spawn(|| both(request)).join())
        .map_err(|_| anyhow!("the bench's thread panicked"))?
}

fn both(request: &Request) -> anyhow::Result<Vec<Row>> {
    request.host.set_up(request.host.last);
    let mut tract = measure(request, &CpuEngine::new())?;
    let mut native = measure(request, &NativeEngine::new())?;
    let mut rows = Vec::new();
    for (exit, stage) in (1..).zip(&mut tract) {
        let row = exit_row("tract", exit, stage);
        let small = row.ratio().is_some_and(|ratio| ratio <= 0.05);
        rows.push(row.target("ratio <= 0.05", small));
    }
    rows.extend(
        (1..)
            .zip(&mut native)
            .map(|(exit, stage)| exit_row("native", exit, stage)),
    );
    rows.push(frame_row(&mut native));
    Ok(rows)
}

fn measure(request: &Request, engine: &dyn Engine) -> anyhow::Result<Vec<Stage>> {
    let bundle = Bundle::open(&request.bundle)?;
    let mut gates = Gates::open(&bundle, ExitPolicy::Gates)?;
    let mut stages = load(request, engine, &bundle)?;
    for _ in 0..FRAMES / 4 {
        frame(&mut stages, &mut gates)?;
    }
    for stage in &mut stages {
        stage.segment_us.clear();
        stage.gate_us.clear();
    }
    for round in 0..request.rounds(3) {
        for _ in 0..FRAMES {
            frame(&mut stages, &mut gates)?;
        }
        for stage in &mut stages {
            let mut times = stage.gate_us[round * FRAMES..].to_vec();
            stage.rounds.push(median(&mut times));
        }
    }
    Ok(stages)
}

fn exit_row(engine: &str, exit: usize, stage: &mut Stage) -> Row {
    let gate = median(&mut stage.gate_us);
    let what = format!("head and gate of exit {exit}, {engine}");
    Row::new(what, gate, "us", &stage.rounds).against("its segment", median(&mut stage.segment_us))
}

/// All heads and gates of a frame of full depth beside all of its segments.
fn frame_row(stages: &mut [Stage]) -> Row {
    let mut sums = vec![0.0; stages.iter().map(|s| s.rounds.len()).min().unwrap_or(0)];
    let (mut gates, mut segments) = (0.0, 0.0);
    for stage in stages {
        gates += median(&mut stage.gate_us);
        segments += median(&mut stage.segment_us);
        for (sum, round) in sums.iter_mut().zip(&stage.rounds) {
            *sum += round;
        }
    }
    Row::new("all heads and gates, native", gates, "us", &sums).against("all segments", segments)
}
