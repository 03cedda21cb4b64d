//! The sink stage allocates nothing for a frame, whatever its outputs.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/allocations.rs"]
mod allocations;

use e4::pipeline::{ResultSink, Sink, SinkSetup, Stop};
use e4::telemetry::output::{DatagramOutput, FileOutput};
use e4::telemetry::{ExitRecord, FrameResult, MAX_EXITS};
use std::sync::Arc;

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

#[test]
fn a_thousand_frames_without_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = folder.path().join("e4.sock");
    let mut sink = Sink::new(SinkSetup {
        labels: vec!["walk".into(), "run \"fast\"".into()],
        segment_macs: vec![1, 2, 3, 4, 5],
        drops: Arc::default(),
        outputs: vec![
            Box::new(FileOutput::create(&folder.path().join("lines.jsonl"), &Stop::new()).unwrap()),
            Box::new(DatagramOutput::open(&receiver).unwrap()),
        ],
        status: None,
        endless: false,
    });
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
}
