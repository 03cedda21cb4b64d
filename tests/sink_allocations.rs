//! The sink stage allocates nothing for a frame, whatever its outputs.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::pipeline::{ResultSink, Sink, SinkSetup, Stop};
use e4::telemetry::output::{DatagramOutput, FileOutput};
use e4::telemetry::{ExitRecord, FrameResult, MAX_EXITS};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is going away has no counter any more.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    let before = ALLOCATIONS.get();
    for frame in 100..1_100 {
        sink.accept(&result(frame));
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    let report = sink.finish();
    assert_eq!((report.totals.results(), report.unsent), (1_100, 1_100));
}
