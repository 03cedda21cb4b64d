//! The sink stage allocates nothing for a frame, whatever its outputs.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/power_tree.rs"]
mod power_tree;

use e4::monotonic::now_ns;
use e4::pipeline::{ResultSink, RunEnergy, Sink, SinkSetup, Stop};
use e4::power::{Root, Sampler, Wish, select};
use e4::sim::trace::ReadTrace;
use e4::telemetry::output::{DatagramOutput, FileOutput};
use e4::telemetry::trace::{SCHEMA, Trace, TraceHead};
use e4::telemetry::{ExitRecord, FrameResult, MAX_EXITS};
use power_tree::PowerTree;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn result(frame: u64) -> FrameResult {
    let time = frame * 33_333_333;
    let exit = u8::try_from(frame % 5).unwrap();
    FrameResult {
        frame,
        sample: frame,
        sequence: frame,
        clip: u32::try_from(frame / 20).unwrap(),
        label: Some(1),
        timestamp_ns: time,
        captured_ns: time,
        decided_ns: time + 1_000_000 * (u64::from(exit) + 1),
        delivered_ns: time + 1_000_000 * (u64::from(exit) + 1) + frame % 1_000,
        overlap_ns: 0,
        clocks: None,
        tensor_ns: 80_000 + frame,
        exit,
        class: u16::from(exit % 2),
        confidence: 0.123_456_79,
        exits: [ExitRecord {
            segment_ns: 900_000 + frame,
            gate_ns: 20_000 + frame,
            ..ExitRecord::default()
        }; MAX_EXITS],
    }
}

fn sink(folder: &Path, energy: Option<RunEnergy>) -> Sink {
    let receiver = folder.join("e4.sock");
    Sink::new(SinkSetup {
        labels: vec!["walk".into(), "run \"fast\"".into()],
        segment_macs: vec![1, 2, 3, 4, 5],
        drops: Arc::default(),
        outputs: vec![
            Box::new(
                FileOutput::create("--output", &folder.join("lines.jsonl"), &Stop::new()).unwrap(),
            ),
            Box::new(DatagramOutput::open(&receiver).unwrap()),
        ],
        status: None,
        endless: false,
        energy,
        tap: None,
        trace: Some(trace(folder)),
    })
}

fn trace(folder: &Path) -> Trace {
    let head = TraceHead {
        schema: SCHEMA.into(),
        bundle: "b".into(),
        bundle_sha256: "0".into(),
        exit_policy: "gates".into(),
        exits: 5,
        endless: false,
        labels: vec!["walk".into(), "run \"fast\"".into()],
    };
    let output = FileOutput::create("--trace", &folder.join("trace.jsonl"), &Stop::new());
    Trace::new(&head, Box::new(output.unwrap()))
}

#[test]
fn a_thousand_frames_without_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path(), None);
    for frame in 0..100 {
        assert!(sink.accept(&result(frame)));
    }
    let before = allocations::of_this_thread();
    for frame in 100..1_100 {
        sink.accept(&result(frame));
    }
    assert_eq!(allocations::of_this_thread() - before, 0);
    let report = sink.finish();
    assert_eq!((report.totals.results(), report.unsent), (1_100, 1_100));
    let trace = ReadTrace::read(&folder.path().join("trace.jsonl")).unwrap();
    assert_eq!(trace.frames.len(), 1_100);
}

/// A frame that is decided now.
fn timely(frame: u64) -> FrameResult {
    std::thread::sleep(Duration::from_millis(10));
    FrameResult {
        captured_ns: now_ns() - 5_000_000,
        decided_ns: now_ns(),
        ..result(frame)
    }
}

#[test]
fn lines_with_the_energy_of_their_frames_allocate_nothing_either() {
    let tree = PowerTree::empty().ina3221(0, &["VDD_IN"]);
    let selected = select(&Root::new(tree.root()), &Wish::default()).unwrap();
    let sampler = Sampler::start(selected.sensor.unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path(), Some(RunEnergy::new(sampler, true)));
    for frame in 0..100 {
        assert!(sink.accept(&timely(frame)));
    }
    let before = allocations::of_this_thread();
    for frame in 100..300 {
        sink.accept(&timely(frame));
    }
    assert_eq!(allocations::of_this_thread() - before, 0);
    let report = sink.finish();
    assert!(report.energy.summary.is_some(), "{:?}", report.energy);
    let lines = std::fs::read_to_string(folder.path().join("lines.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 300);
    let with = lines.matches("energy_mj").count();
    println!("{with} of 300 lines have their frame's energy");
    assert!(with > 0);
}
