//! What each exit's head and gate cost beside the segment before them.
//!
//! Segment and gate take turns on one thread, on golden frames; the table gives
//! medians, and the share of the gate's time in its segment's.
//!
//! `cargo bench --bench gates [-- ROUNDS [BUNDLE]]`

use anyhow::Context;
use e4::engine::bundle::Bundle;
use e4::engine::cpu::CpuEngine;
use e4::engine::{Buffer, Engine, Segment, SegmentIo};
use e4::gates::{ExitPolicy, Gates};
use e4::monotonic::now_ns;
use std::path::Path;

/// One segment with its buffers.
struct Stage {
    segment: Box<dyn Segment>,
    io: Option<SegmentIo>,
    segment_ns: Vec<u64>,
    gate_ns: Vec<u64>,
}

fn median(times: &mut [u64]) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
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
        stage.segment_ns.push(segment_ns - started_ns);
        stage.gate_ns.push(gate_ns - segment_ns);
        map = io
            .output
            .as_ref()
            .and_then(Buffer::as_host)
            .map(<[f32]>::to_vec);
        stage.io = Some(io);
    }
    gates.commit();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "microseconds in a table")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let rounds: usize = arguments
        .next()
        .map_or(Ok(300), |n| n.parse())
        .context("ROUNDS")?;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/engines/mobilenetv2-e5").to_owned();
    let path = arguments.next().unwrap_or(shipped);
    let bundle = Bundle::open(Path::new(&path))?;
    let engine = CpuEngine::new();
    let mut gates = Gates::open(&bundle, ExitPolicy::Gates)?;
    let mut stages = Vec::new();
    for (index, spec) in bundle.manifest().segments.iter().enumerate() {
        stages.push(Stage {
            segment: engine.load(&bundle, index)?,
            io: Some(SegmentIo::new(&engine, spec)?),
            segment_ns: Vec::with_capacity(rounds),
            gate_ns: Vec::with_capacity(rounds),
        });
    }
    for round in 0..rounds + rounds / 10 {
        frame(&mut stages, &mut gates)?;
        if round + 1 == rounds / 10 {
            for stage in &mut stages {
                stage.segment_ns.clear();
                stage.gate_ns.clear();
            }
        }
    }
    println!(
        "{path}, engine {}, medians of {rounds} frames",
        engine.name()
    );
    println!(
        "{:>5} {:>12} {:>9} {:>8}",
        "exit", "segment us", "gate us", "share"
    );
    for (exit, stage) in stages.iter_mut().enumerate() {
        let (segment, gate) = (median(&mut stage.segment_ns), median(&mut stage.gate_ns));
        println!(
            "{:>5} {:>12.1} {:>9.1} {:>7.1}%",
            exit + 1,
            segment as f64 / 1e3,
            gate as f64 / 1e3,
            100.0 * gate as f64 / segment as f64
        );
    }
    Ok(())
}
