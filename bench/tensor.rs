//! *Tensor*: frame to input tensor against copying the frame, frames cold: the
//! candidates take turns through more memory than the caches of a core have.

use crate::Request;
use crate::table::{Row, median};
use anyhow::anyhow;
use e4::engine::bundle::{Fit, InputSpec};
use e4::monotonic::now_ns;
use e4::tensor::convert::{Converter, Isa, Resize, Steps};
use e4::tensor::{Frame, FrameMeta, PixelFormat};
use std::hint::black_box;

/// Bytes of frames that take turns.
const COLD_BYTES: usize = 64 << 20;
/// Frames of one turn.
const FRAMES: usize = 12;

/// Format, size, and the targets of AVX-512, AVX2 and portable at 224 x 224.
type Case = (PixelFormat, (u32, u32), [Option<f64>; 3]);

const CASES: [Case; 6] = [
    (
        PixelFormat::Yuyv,
        (640, 480),
        [Some(2.2), Some(4.0), Some(14.0)],
    ),
    (
        PixelFormat::Nv12,
        (640, 480),
        [Some(2.7), Some(4.0), Some(14.0)],
    ),
    (PixelFormat::Yuyv, (1280, 720), [Some(1.5), None, None]),
    (PixelFormat::Nv12, (1280, 720), [None; 3]),
    (PixelFormat::I420, (640, 480), [None; 3]),
    (PixelFormat::Rgb24, (640, 480), [None; 3]),
];

/// Frames of noise, each in memory of its own.
fn frames((format, (width, height), _): Case) -> Vec<Frame> {
    let meta = FrameMeta {
        width,
        height,
        format,
        ..FrameMeta::default()
    };
    let len = format.frame_len(width, height).unwrap_or(0);
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    let frame = |_| Frame {
        meta,
        data: (0..len).map(|_| noise()).collect(),
        lent: None,
    };
    (0..COLD_BYTES / len.max(1)).map(frame).collect()
}

type Work<'a> = Box<dyn FnMut(&Frame) -> anyhow::Result<()> + 'a>;

/// What is measured: its name, its target, and what it does to a frame.
struct Candidate<'a> {
    name: String,
    target: Option<f64>,
    run: Work<'a>,
    rounds: Vec<f64>,
}

impl<'a> Candidate<'a> {
    fn new(
        name: String,
        target: Option<f64>,
        run: impl FnMut(&Frame) -> anyhow::Result<()> + 'a,
    ) -> Self {
        Self {
            name,
            target,
            run: Box::new(run),
            rounds: Vec::new(),
        }
    }
}

fn input() -> InputSpec {
    InputSpec {
        width: 224,
        height: 224,
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        fit: Fit::Stretch,
    }
}

fn candidates(case: Case) -> Vec<Candidate<'static>> {
    let (format, (width, height), targets) = case;
    let what = format!("{format:?} {width} x {height}");
    let mut copy = vec![0; format.frame_len(width, height).unwrap_or(0)];
    let mut all = vec![Candidate::new("copy".to_owned(), None, move |frame| {
        copy.copy_from_slice(&frame.data);
        black_box(&copy);
        Ok(())
    })];
    let converter = |isa, resize| Converter::new(&input()).resize(resize).with_isa(isa);
    let len = 3 * 224 * 224;
    for isa in Isa::ALL {
        let target = match isa {
            Isa::Avx512 => targets[0],
            Isa::Avx2 => targets[1],
            Isa::Portable => targets[2],
            Isa::Neon => None,
        };
        if let Some(mut converter) = converter(isa, Resize::Triangle) {
            let mut tensor = vec![0.0; len];
            let name = format!("{what}, {isa:?}");
            all.push(Candidate::new(name, target, move |frame| {
                Ok(converter.convert(frame, &mut tensor)?)
            }));
        }
    }
    let best = Converter::new(&input());
    for (name, resize) in [("area", Resize::Area), ("bilinear", Resize::Bilinear)] {
        let (mut converter, mut tensor) = (best.clone().resize(resize), vec![0.0; len]);
        let name = format!("{what}, {name}");
        all.push(Candidate::new(name, None, move |frame| {
            Ok(converter.convert(frame, &mut tensor)?)
        }));
    }
    let (mut converter, mut tensor) = (best, vec![0; len]);
    all.push(Candidate::new(
        format!("{what}, to 8 bits"),
        None,
        move |frame| Ok(converter.convert_i8(frame, Steps::default(), &mut tensor)?),
    ));
    let (mut exact, mut tensor) = (Converter::new(&input()).exact(), vec![0.0; len]);
    let name = format!("{what}, in floats");
    all.push(Candidate::new(name, None, move |frame| {
        Ok(exact.convert(frame, &mut tensor)?)
    }));
    all
}

/// The median of one turn, in microseconds.
fn turn(candidate: &mut Candidate<'_>, frames: &[Frame], next: &mut usize) -> anyhow::Result<f64> {
    let mut times = [0.0; FRAMES];
    for time in &mut times {
        *next = (*next + 1) % frames.len();
        let started_ns = now_ns();
        (candidate.run)(&frames[*next])?;
        *time = (now_ns() - started_ns) as f64 / 1e3;
    }
    Ok(median(&mut times))
}

fn lines(mut candidates: Vec<Candidate<'_>>) -> Vec<Row> {
    let mut copy = candidates.remove(0);
    let copied = median(&mut copy.rounds);
    let line = |mut candidate: Candidate<'_>| {
        let value = median(&mut candidate.rounds);
        let row = Row::new(candidate.name, value, "us", &candidate.rounds).against("copy", copied);
        let ratio = row.ratio();
        match candidate.target {
            Some(most) => row.target(
                format!("ratio <= {most}"),
                ratio.is_some_and(|ratio| ratio <= most),
            ),
            None => row,
        }
    };
    candidates.into_iter().map(line).collect()
}

/// A line a candidate and case.
pub fn run(request: &Request) -> anyhow::Result<Vec<Row>> {
    // A thread of its own, so that the set-up ends with it.
    std::thread::scope(|scope| scope.spawn(|| measure(request)).join())
        .map_err(|_| anyhow!("the bench's thread panicked"))?
}

fn measure(request: &Request) -> anyhow::Result<Vec<Row>> {
    request.host.set_up(request.host.last);
    let mut rows = Vec::new();
    for case in CASES {
        let (frames, mut candidates) = (frames(case), candidates(case));
        let mut next = 0;
        for round in 0..=request.rounds(11) {
            for candidate in &mut candidates {
                let time = turn(candidate, &frames, &mut next)?;
                // The first is for warming up.
                if round > 0 {
                    candidate.rounds.push(time);
                }
            }
        }
        rows.extend(lines(candidates));
    }
    Ok(rows)
}
