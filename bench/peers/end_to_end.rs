//! Whole frames of fresh clips: gated here, at full depth there.
//!
//! The peer gets the same decoded frames and our tensor pass, whose time counts
//! for both; then ONNX Runtime runs backbone and final head as one graph on one
//! thread, without the shallower exits' adapters, less the cost of the call. Its
//! answers, which are judged, are those of the exact graph. Beside it the usual
//! loop, reading included on both sides: OpenCV reads and converts, ONNX Runtime
//! runs, all called from Python.

use super::stats::Ratio;
use super::worker::{Worker, bytes, times_ms};
use super::{Wanted, repository};
use anyhow::{Context, bail, ensure};
use e4::cli::clips::Clips;
use e4::engine::bundle::Bundle;
use e4::engine::native::NativeEngine;
use e4::engine::{Engine, Segment, SegmentIo};
use e4::gates::{ExitPolicy, Gates};
use e4::monotonic::now_ns;
use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::{FrameSource, Next};
use e4::tensor::convert::Converter;
use e4::tensor::{Frame, Slot};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What became of a clip on one candidate.
#[derive(Clone, Debug, Default)]
struct Played {
    /// Time of all its frames.
    ms: f64,
    classes: Vec<usize>,
}

/// All clips on one candidate.
#[derive(Debug, Default)]
struct Side {
    ms: Vec<f64>,
    /// Frames of each clip that are right.
    right: Vec<usize>,
    /// Whether each clip's last frame is.
    last: Vec<bool>,
}

impl Side {
    fn add(&mut self, played: &Played, label: usize) {
        self.ms.push(played.ms);
        let right = played.classes.iter().filter(|class| **class == label);
        self.right.push(right.count());
        self.last.push(played.classes.last() == Some(&label));
    }

    fn clips_right(&self) -> usize {
        self.last.iter().filter(|right| **right).count()
    }
}

/// Our side: one thread, segment after segment until a gate says yes.
struct Ours {
    converter: Converter,
    gates: Gates,
    stages: Vec<(Box<dyn Segment>, Option<SegmentIo>)>,
    spent: Spent,
    exits: Vec<u64>,
}

/// Where the time goes, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    tensor: u64,
    segments: u64,
    gates: u64,
}

impl Ours {
    fn new(bundle: &Bundle) -> anyhow::Result<Self> {
        let engine = NativeEngine::new();
        let mut stages = Vec::new();
        for (index, spec) in bundle.manifest().segments.iter().enumerate() {
            stages.push((
                engine.load(bundle, index)?,
                Some(SegmentIo::new(&engine, spec)?),
            ));
        }
        Ok(Self {
            converter: Converter::new(&bundle.manifest().input),
            gates: Gates::open(bundle, ExitPolicy::Gates)?,
            exits: vec![0; stages.len()],
            stages,
            spent: Spent::default(),
        })
    }

    /// One frame: its class. The tensor stays in the first input.
    fn frame(&mut self, frame: &Frame) -> anyhow::Result<usize> {
        let started_ns = now_ns();
        let first = self.stages[0].1.as_mut().context("buffers")?;
        let input = first.input.as_host_mut().context("host memory")?;
        self.converter.convert(frame, input)?;
        let mut before_ns = now_ns();
        self.spent.tensor += before_ns - started_ns;
        self.gates.begin_frame();
        for exit in 0..self.stages.len() {
            let ready_ns = now_ns();
            self.spent.gates += ready_ns - before_ns;
            let (segment, slot) = &mut self.stages[exit];
            segment
                .enqueue(slot.take().context("buffers")?)
                .map_err(|f| f.error)?;
            let mut io = segment.wait().map_err(|f| f.error)?;
            let done_ns = now_ns();
            self.spent.segments += done_ns - ready_ns;
            let pooled = io.pooled.as_host().context("host memory")?;
            let answer = self.gates.evaluate(exit, pooled)?;
            if let (Some(map), Some((_, Some(next)))) =
                (&mut io.output, self.stages.get_mut(exit + 1))
            {
                std::mem::swap(map, &mut next.input);
            }
            self.stages[exit].1 = Some(io);
            if answer.leave {
                self.exits[exit] += 1;
                self.gates.commit();
                self.gates.look_ahead();
                self.spent.gates += now_ns() - done_ns;
                return Ok(answer.class.into());
            }
            before_ns = now_ns();
            self.spent.gates += before_ns - done_ns;
        }
        bail!("no exit was taken")
    }

    /// A clip; its tensors are appended to `tensors`, in time that is not counted.
    fn clip(&mut self, frames: &[Frame], tensors: &mut Vec<u8>) -> anyhow::Result<Played> {
        let mut played = Played::default();
        self.gates.reset();
        self.gates.look_ahead();
        for frame in frames {
            let started_ns = now_ns();
            let class = self.frame(frame)?;
            played.ms += ms(now_ns() - started_ns);
            played.classes.push(class);
            let input = self.stages[0].1.as_ref().and_then(|io| io.input.as_host());
            tensors.extend(bytes(input.context("host memory")?));
        }
        Ok(played)
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are short")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// The comparison.
pub fn run(wanted: &Wanted) -> anyhow::Result<()> {
    for dir in &wanted.bundles {
        let python = wanted.python.as_deref();
        let python = python
            .context("name a Python that has onnxruntime and onnx with --python or E4_PYTHON")?;
        bundle(wanted, &Bundle::open(dir)?, python)?;
    }
    Ok(())
}

fn bundle(wanted: &Wanted, bundle: &Bundle, python: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let script = repository("bench/peers/graph.py");
    let dir = bundle.path("");
    let status = Command::new(python)
        .arg(script)
        .arg(dir)
        .arg(folder.path())
        .status();
    ensure!(
        status?.success(),
        "bench/peers/graph.py fails on this bundle"
    );
    let clips = clips(wanted, bundle, folder.path())?;
    let mut peer = Peer {
        worker: Worker::start(python, "onnxruntime")?,
        bundle,
        tensors: folder.path().join("x.bin"),
        exact: folder.path().join("exact.onnx"),
        lean: folder.path().join("lean.onnx"),
        opencv: true,
    };
    let mut ours = Ours::new(bundle)?;
    let mut sides = Sides::default();
    let warm = clips.len().min(8);
    for (index, clip) in clips[..warm].iter().chain(&clips).enumerate() {
        if index == warm {
            sides = Sides::default();
            (ours.spent, ours.exits) = (Spent::default(), vec![0; ours.exits.len()]);
        }
        turn(&mut ours, &mut peer, clip, &mut sides)?;
    }
    report(wanted, bundle, &ours, &peer, &sides);
    Ok(())
}

/// The candidates' clips.
#[derive(Default)]
struct Sides {
    ours: Side,
    /// The same with reading.
    ours_read: Vec<f64>,
    /// Tensor and lean graph; the classes are those of the exact one.
    peer: Side,
    exact_ms: Vec<f64>,
    opencv: Side,
    frames: usize,
}

/// One clip on everybody.
fn turn(
    ours: &mut Ours,
    peer: &mut Peer<'_>,
    clip: &Path,
    sides: &mut Sides,
) -> anyhow::Result<()> {
    let started_ns = now_ns();
    let frames = read(clip, &peer.bundle.manifest().labels)?;
    let read_ms = ms(now_ns() - started_ns);
    let label = frames[0]
        .meta
        .label
        .context("a clip without a label")?
        .into();
    let mut tensors = Vec::new();
    let before_ns = ours.spent.tensor;
    let played = ours.clip(&frames, &mut tensors)?;
    let tensor_ms = ms(ours.spent.tensor - before_ns);
    sides.ours.add(&played, label);
    sides.ours_read.push(played.ms + read_ms);
    std::fs::write(&peer.tensors, tensors)?;
    let lean = peer.clip(&peer.lean.clone(), frames.len())?;
    let exact = peer.clip(&peer.exact.clone(), frames.len())?;
    sides.exact_ms.push(exact.ms + tensor_ms);
    let classes = exact.classes;
    let ms = lean.ms + tensor_ms;
    sides.peer.add(&Played { ms, classes }, label);
    if let Some(played) = peer.video(clip) {
        sides.opencv.add(&played, label);
    }
    sides.frames += frames.len();
    Ok(())
}

/// ONNX Runtime at full depth.
struct Peer<'a> {
    worker: Worker,
    bundle: &'a Bundle,
    tensors: PathBuf,
    exact: PathBuf,
    lean: PathBuf,
    opencv: bool,
}

impl Peer<'_> {
    fn clip(&mut self, graph: &Path, frames: usize) -> anyhow::Result<Played> {
        let shape = self.bundle.manifest().segments[0].input;
        played(&self.worker.ask(&json!({
            "clip": graph, "x": self.tensors, "shape": shape, "frames": frames, "take_off": true,
        }))?)
    }

    /// The usual loop; `None` where that Python has no OpenCV.
    fn video(&mut self, clip: &Path) -> Option<Played> {
        let input = &self.bundle.manifest().input;
        let asked = self.opencv.then(|| {
            self.worker.ask(&json!({
                "video": self.exact, "file": clip, "size": [input.height, input.width],
                "mean": input.mean, "std": input.std,
            }))
        });
        match asked?.and_then(|answer| played(&answer)) {
            Ok(played) => Some(played),
            Err(error) => {
                eprintln!("without the loop of OpenCV: {error}");
                self.opencv = false;
                None
            }
        }
    }
}

fn played(answer: &Value) -> anyhow::Result<Played> {
    let classes = answer["classes"].as_array().context("classes")?;
    let class = |value: &Value| {
        value
            .as_u64()
            .and_then(|c| usize::try_from(c).ok())
            .context("a class")
    };
    Ok(Played {
        ms: times_ms(answer)?.iter().sum(),
        classes: classes.iter().map(class).collect::<Result<_, _>>()?,
    })
}

/// Fresh clips in a folder that goes with `folder`.
fn clips(wanted: &Wanted, bundle: &Bundle, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let out = folder.join("clips");
    let side = u32::try_from(bundle.manifest().input.width)?;
    Clips {
        seed: wanted.seed,
        count: wanted.count,
        first: 0,
        out: out.clone(),
        size: wanted.size.unwrap_or(side),
        width: None,
        height: None,
        frames: u64::try_from(bundle.manifest().window)?,
        fps: "10".parse()?,
        difficulty: None,
        stream_frames: None,
        force: false,
    }
    .write()?;
    let files = std::fs::read_dir(&out)?.map(|entry| entry.map(|e| e.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "y4m"));
    files.sort();
    Ok(files)
}

/// Every frame of a clip.
fn read(clip: &Path, labels: &[String]) -> anyhow::Result<Vec<Frame>> {
    let options = ClipOptions {
        labels: labels.to_vec(),
        ..ClipOptions::default()
    };
    let mut source = ClipSource::open(clip, options)?;
    source.start(2, &|| true)?;
    let mut frames = Vec::new();
    loop {
        match source.next(u64::MAX)? {
            Next::Frame(slot) => {
                frames.push(Frame::clone(&slot));
                let slot: Slot = slot;
                source.release(slot);
            }
            Next::End => break,
            other => bail!("{}: {other:?}", clip.display()),
        }
    }
    ensure!(!frames.is_empty(), "{} is empty", clip.display());
    Ok(frames)
}

#[expect(clippy::cast_precision_loss, reason = "counts of clips and frames")]
fn report(wanted: &Wanted, bundle: &Bundle, ours: &Ours, peer: &Peer<'_>, sides: &Sides) {
    let (clips, frames) = (sides.ours.ms.len() as f64, sides.frames as f64);
    let side = |name: &str, side: &Side, ms: &[f64]| {
        let clip = 100.0 * side.clips_right() as f64 / clips;
        let frame = 100.0 * side.right.iter().sum::<usize>() as f64 / frames;
        let per_second = frames / ms.iter().sum::<f64>() * 1e3;
        println!(
            "| {name} | {clip:.2} | {frame:.2} | {per_second:.0} | {:.3} |",
            1e3 / per_second
        );
    };
    println!(
        "`{}`; {}; {clips} clips of {} x {} frames, seed {}; {}\n",
        bundle.manifest().name,
        wanted.host,
        wanted
            .size
            .map_or_else(|| "the input's size".to_owned(), |s| format!("{s} px")),
        frames / clips,
        wanted.seed,
        peer.worker.name,
    );
    println!("| | clips right % | frames right % | frames/s | ms a frame |\n|---|---|---|---|---|");
    side("e4, gated, one thread", &sides.ours, &sides.ours.ms);
    side(
        "peer: our tensor pass + full depth as one graph",
        &sides.peer,
        &sides.peer.ms,
    );
    side(
        "the same with all adapters, as it answers",
        &sides.peer,
        &sides.exact_ms,
    );
    let speed = Ratio::of_sums(&sides.peer.ms, &sides.ours.ms);
    if sides.opencv.ms.len() == sides.ours.ms.len() {
        side(
            "e4, reading the clip included",
            &sides.ours,
            &sides.ours_read,
        );
        side(
            "the usual loop in Python: OpenCV + ONNX Runtime, reading included",
            &sides.opencv,
            &sides.opencv.ms,
        );
    }
    println!("\nframes/s, e4 / peer: {speed}");
    let points = |side: &Side, i: usize| 100.0 * f64::from(u8::from(side.last[i]));
    let paired: Vec<f64> = (0..sides.ours.last.len())
        .map(|i| points(&sides.ours, i) - points(&sides.peer, i))
        .collect();
    let difference = Ratio::new(&paired, &vec![1.0; paired.len()], |values| {
        values.iter().sum()
    });
    println!("clips right, e4 - peer, in points: {difference}");
    let spent = ours.spent;
    let inference = (spent.segments + spent.gates) as f64;
    let exits: Vec<String> = ours
        .exits
        .iter()
        .map(|n| format!("{:.1}", 100.0 * *n as f64 / frames))
        .collect();
    println!(
        "gates: {:.1} % of a frame's inference; us a frame: tensor {:.1}, segments {:.1}, gates {:.1}; exits {} %",
        100.0 * spent.gates as f64 / inference,
        spent.tensor as f64 / 1e3 / frames,
        spent.segments as f64 / 1e3 / frames,
        spent.gates as f64 / 1e3 / frames,
        exits.join(" / ")
    );
}
