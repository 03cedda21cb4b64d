//! After warm-up no thread of the pipeline allocates or faults for a frame.
//!
//! Every allocation of the process is counted by thread, and the kernel counts
//! the page faults of each.

#[path = "support/allocations.rs"]
mod allocations;
mod support;

use e4::engine::auto::AutoEngine;
use e4::engine::bundle::Bundle;
use e4::gates::{ExitPolicy, Gates};
use e4::pipeline::{Pipeline, Placement, ResultSink, Stage, Stop};
use e4::rt::memory::page_faults;
use e4::source::FrameSource;
use e4::source::clip::{ClipOptions, ClipSource, RawLayout};
use e4::source::generator::{CameraOptions, Generator};
use e4::telemetry::FrameResult;
use e4::tensor::{Colour, PixelFormat};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Frames before the first look, and between the two looks.
const WARM_UP: u64 = 200;
const FRAMES: u64 = 1_000;

/// Allocations and page faults of the threads named `e4-*`, by name.
fn look() -> BTreeMap<String, (u64, u64)> {
    let mut seen = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task")
        .expect("procfs")
        .flatten()
    {
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        if !name.starts_with("e4-") {
            continue;
        }
        // Fields after the name in parentheses: state is 3, minflt 10, majflt 12.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        let field = |number: usize| fields[number - 3].parse::<u64>().expect("a number");
        let id: u64 = task
            .file_name()
            .to_string_lossy()
            .parse()
            .expect("a thread id");
        let allocations = allocations::of_thread(id);
        seen.insert(name.trim().to_owned(), (allocations, field(10) + field(12)));
    }
    seen
}

/// What was counted at one moment.
#[derive(Clone, Debug)]
struct Look {
    threads: BTreeMap<String, (u64, u64)>,
    /// The sink's own counts before and after looking, which costs some.
    sink: [(u64, u64); 2],
}

/// Looks at all threads after the warm-up and again after `FRAMES` more.
#[derive(Debug, Default)]
struct Looks {
    results: u64,
    looks: Arc<Mutex<Vec<Look>>>,
}

fn own() -> (u64, u64) {
    (allocations::of_this_thread(), faults())
}

/// Page faults of the calling thread so far.
fn faults() -> u64 {
    page_faults().expect("the kernel counts them")
}

impl ResultSink for Looks {
    fn accept(&mut self, _: &FrameResult) -> bool {
        self.results += 1;
        if self.results == WARM_UP || self.results == WARM_UP + FRAMES {
            let before = own();
            let threads = look();
            let mut looks = self.looks.lock().expect("a lock");
            looks.push(Look {
                threads,
                sink: [before, before],
            });
            if let Some(look) = looks.last_mut() {
                look.sink[1] = own();
            }
        }
        self.results < WARM_UP + FRAMES
    }
}

fn assert_steady(name: &str, bundle: &str, source: Box<dyn FrameSource>) {
    let bundle = Bundle::open(support::repository(bundle)).expect("the bundle");
    let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("its gates");
    let sink = Looks::default();
    let looks = sink.looks.clone();
    let placement = Placement::unpinned(&[
        &[Stage::Capture],
        &[Stage::Infer],
        &[Stage::Gate],
        &[Stage::Sink],
    ]);
    Pipeline::new(source, Box::new(AutoEngine::new()), bundle, gates, sink)
        .placement(placement.expect("four threads"))
        .sample(false)
        .lock_memory(true)
        .run(&Stop::new())
        .expect("a run");
    let looks = looks.lock().expect("a lock");
    let [before, after] = &looks[..] else {
        panic!("the run ended before {} frames", WARM_UP + FRAMES);
    };
    for thread in ["e4-capture", "e4-infer", "e4-gate", "e4-sink"] {
        let (allocations, faults) = match thread {
            "e4-sink" => minus(after.sink[0], before.sink[1]),
            _ => minus(after.threads[thread], before.threads[thread]),
        };
        assert_eq!(allocations, 0, "{name}: allocations of {thread}");
        assert_eq!(faults, 0, "{name}: page faults of {thread}");
    }
}

fn minus(after: (u64, u64), before: (u64, u64)) -> (u64, u64) {
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn no_thread_allocates_or_faults_for_a_frame() {
    support::watchdog::with_watchdog(generated_and_raw_frames);
}

fn generated_and_raw_frames() {
    let floats = "engines/mobilenetv2-e5";
    for bundle in [floats, "engines/mobilenetv2-e5-int8"] {
        let camera = Generator::new(CameraOptions {
            width: 128,
            height: 96,
            live: false,
            ..CameraOptions::default()
        });
        assert_steady("generator", bundle, Box::new(camera.expect("a camera")));
    }

    let mut raw = tempfile::NamedTempFile::new().expect("a file");
    let frame: Vec<u8> = (0..64 * 48 * 2)
        .map(|i| u8::try_from(i % 251).expect("a byte"))
        .collect();
    (0..50).for_each(|_| raw.write_all(&frame).expect("a frame"));
    raw.flush().expect("a clip");
    let layout = RawLayout {
        format: PixelFormat::Yuyv,
        width: 64,
        height: 48,
        interval_ns: 100_000_000,
        colour: Colour::default(),
    };
    let options = ClipOptions {
        raw: Some(layout),
        passes: None,
        ..ClipOptions::default()
    };
    assert_steady(
        "raw clip",
        floats,
        Box::new(ClipSource::open(raw.path(), options).expect("a clip")),
    );
}
