//! Any bytes as an ONNX file: an error in words or a segment that runs.
#![no_main]

use e4::engine::native::NativeEngine;
use e4::engine::{Buffer, SegmentIo};
use libfuzzer_sys::fuzz_target;

/// Input, feature map and pooled feature of the segments that the corpus starts
/// from, the last of them in 8 bits.
const PORTS: [(&[usize], Option<&[usize]>, &[usize]); 3] = [
    (&[1, 3, 32, 32], Some(&[1, 12, 8, 8]), &[1, 12, 2, 2]),
    (&[1, 12, 8, 8], None, &[1, 48, 2, 2]),
    (&[1, 3, 96, 96], Some(&[1, 24, 24, 24]), &[1, 24, 3, 3]),
];

fuzz_target!(|bytes: &[u8]| {
    let engine = NativeEngine::new();
    for (x, y, pooled) in PORTS {
        let named = y.map(|shape| ("y", shape));
        let Ok(mut segment) = engine.load_graph(bytes, ("x", x), named, ("pooled", pooled)) else {
            continue;
        };
        let host = |shape: &[usize]| Buffer::Host(vec![0.25; shape.iter().product()]);
        let io = SegmentIo {
            input: host(x),
            output: y.map(host),
            pooled: host(pooled),
        };
        segment.enqueue(io).expect("buffers of its lengths");
        segment.wait().expect("a segment that loads runs");
    }
});
