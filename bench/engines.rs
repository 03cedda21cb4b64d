//! The native engine beside tract: every segment of a bundle on its first golden
//! frame, and their sum; then with each set of kernels that this machine has.
//!
//! All candidates take turns within a round, on one core, one thread.

use crate::Request;
use crate::table::{Row, median};
use anyhow::{Context, anyhow, ensure};
use e4::engine::bundle::{Bundle, elements};
use e4::engine::cpu::CpuEngine;
use e4::engine::native::{Isa, NativeEngine};
use e4::engine::{Buffer, Engine, Segment, SegmentIo};
use e4::monotonic::now_ns;

/// Frames of a candidate in a round, after some to warm up.
const FRAMES: usize = 40;
const WARM_UP: usize = 3;

/// An engine with a bundle's segments.
struct Candidate {
    name: String,
    stages: Vec<Stage>,
    /// Times of whole frames.
    frame_us: Vec<f64>,
    rounds: Vec<f64>,
}

struct Stage {
    segment: Box<dyn Segment>,
    io: Option<SegmentIo>,
    times_us: Vec<f64>,
    rounds: Vec<f64>,
}

impl Candidate {
    fn load(name: String, engine: &dyn Engine, bundle: &Bundle) -> anyhow::Result<Self> {
        let mut stages = Vec::new();
        for (index, spec) in bundle.manifest().segments.iter().enumerate() {
            stages.push(Stage {
                segment: engine.load(bundle, index)?,
                io: Some(SegmentIo::new(engine, spec)?),
                times_us: Vec::new(),
                rounds: Vec::new(),
            });
        }
        Ok(Self {
            name,
            stages,
            frame_us: Vec::new(),
            rounds: Vec::new(),
        })
    }

    /// One frame to full depth.
    fn frame(&mut self, image: &[f32], count: bool) -> anyhow::Result<()> {
        let mut map = image.to_vec();
        let mut total = 0.0;
        for stage in &mut self.stages {
            let mut io = stage.io.take().context("buffers")?;
            io.input.write_from(&map)?;
            let started_ns = now_ns();
            stage.segment.enqueue(io).map_err(|failed| failed.error)?;
            let io = stage.segment.wait().map_err(|failed| failed.error)?;
            let time_us = (now_ns() - started_ns) as f64 / 1e3;
            total += time_us;
            if count {
                stage.times_us.push(time_us);
            }
            if let Some(values) = io.output.as_ref().and_then(Buffer::as_host) {
                map.clear();
                map.extend_from_slice(values);
            }
            stage.io = Some(io);
        }
        if count {
            self.frame_us.push(total);
        }
        Ok(())
    }

    fn round(&mut self, image: &[f32]) -> anyhow::Result<()> {
        let before = self.frame_us.len();
        for frame in 0..WARM_UP + FRAMES {
            self.frame(image, frame >= WARM_UP)?;
        }
        for stage in &mut self.stages {
            let mut times = stage.times_us[before..].to_vec();
            stage.rounds.push(median(&mut times));
        }
        let mut times = self.frame_us[before..].to_vec();
        self.rounds.push(median(&mut times));
        Ok(())
    }
}

/// One line a segment, one for their sum, one for each set of kernels.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    // A thread of its own, so that the set-up ends with it.
    std::thread::scope(|scope| scope.spawn(|| measure(request)).join())
        .map_err(|_| anyhow!("the bench's thread panicked"))?
}

fn measure(request: &Request) -> anyhow::Result<Vec<Row>> {
    request.host.set_up(request.host.last);
    let bundle = Bundle::open(&request.bundle)?;
    let golden = bundle.golden()?;
    let segments = &bundle.manifest().segments;
    let mut image = vec![0.0; segments.first().map_or(0, |s| elements(&s.input))];
    ensure!(
        golden.write_input(0, 0, &mut image),
        "the bundle has no golden frame"
    );

    let best = NativeEngine::new();
    let mut candidates = vec![
        Candidate::load("tract".into(), &CpuEngine::new(), &bundle)?,
        Candidate::load("native".into(), &best, &bundle)?,
    ];
    for isa in Isa::ALL {
        if let Some(engine) = NativeEngine::with_isa(isa).filter(|e| e.isa() != best.isa()) {
            candidates.push(Candidate::load(
                format!("native, {isa:?}"),
                &engine,
                &bundle,
            )?);
        }
    }
    for _ in 0..request.rounds(7) {
        for candidate in &mut candidates {
            candidate.round(&image)?;
        }
    }
    Ok(rows(&mut candidates))
}

fn rows(candidates: &mut [Candidate]) -> Vec<Row> {
    let [tract, native, others @ ..] = candidates else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (k, (theirs, ours)) in tract.stages.iter_mut().zip(&mut native.stages).enumerate() {
        let time = median(&mut ours.times_us);
        let row = Row::new(format!("native, segment {k}"), time, "us", &ours.rounds);
        rows.push(row.against("tract", median(&mut theirs.times_us)));
    }
    let tract_us = median(&mut tract.frame_us);
    for candidate in std::iter::once(native).chain(others) {
        let name = format!("{}, all segments", candidate.name);
        let time = median(&mut candidate.frame_us);
        rows.push(Row::new(name, time, "us", &candidate.rounds).against("tract", tract_us));
    }
    rows
}
