//! *Gates*: what each exit's head and gate cost beside the segment before them.
//! Segment and gate take turns on one thread.

use crate::Request;
use crate::table::{Row, median};
use anyhow::{Context, anyhow};
use e4::engine::bundle::Bundle;
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

fn load(request: &Request, bundle: &Bundle) -> anyhow::Result<Vec<Stage>> {
    let engine = NativeEngine::new();
    let mut stages = Vec::new();
    for (index, spec) in bundle.manifest().segments.iter().enumerate() {
        stages.push(Stage {
            segment: engine.load(bundle, index)?,
            io: Some(SegmentIo::new(&engine, spec)?),
            segment_us: Vec::with_capacity(FRAMES * request.rounds(3)),
            gate_us: Vec::with_capacity(FRAMES * request.rounds(3)),
            rounds: Vec::new(),
        });
    }
    Ok(stages)
}

/// One line an exit.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    // A thread of its own, so that the set-up ends with it.
    std::thread::scope(|scope| scope.spawn(|| measure(request)).join())
        .map_err(|_| anyhow!("the bench's thread panicked"))?
}

fn measure(request: &Request) -> anyhow::Result<Vec<Row>> {
    request.host.set_up(request.host.last);
    let bundle = Bundle::open(&request.bundle)?;
    let mut gates = Gates::open(&bundle, ExitPolicy::Gates)?;
    let mut stages = load(request, &bundle)?;
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
    let lines = (1..).zip(&mut stages).map(|(exit, stage)| {
        let gate = median(&mut stage.gate_us);
        let row = Row::new(
            format!("head and gate of exit {exit}"),
            gate,
            "us",
            &stage.rounds,
        )
        .against("its segment", median(&mut stage.segment_us));
        let small = row.ratio().is_some_and(|ratio| ratio <= 0.05);
        row.target("ratio <= 0.05", small)
    });
    Ok(lines.collect())
}
