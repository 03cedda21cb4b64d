//! The contract of the engine seam, held by every engine: the same cases run on
//! the native engine with each set of kernels, on tract, and on the one that
//! completes asynchronously. Another engine
//! joins with one line at the end of this file.

#[path = "support/watchdog.rs"]
mod watchdog;

use e4::engine::auto::AutoEngine;
use e4::engine::bundle::{Bundle, elements};
use e4::engine::check::{TOLERANCE, golden_features};
use e4::engine::cpu::CpuEngine;
use e4::engine::native::{Isa, NativeEngine};
use e4::engine::offload::Offload;
use e4::engine::{Buffer, DeviceBuffer, Engine, EngineError, Segment, SegmentIo};
use std::path::Path;
use std::time::Duration;
use watchdog::with_watchdog;

/// A bundle of the repository; a missing one fails the test.
fn shipped(name: &str) -> Bundle {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("engines")
        .join(name);
    Bundle::open(&dir).unwrap_or_else(|error| panic!("{error}"))
}

/// An input that differs from element to element and by `seed`.
fn pattern(len: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| f32::from(u8::try_from((i * 7 + seed * 31) % 255).unwrap_or(0));
    (0..len).map(|i| value(i) / 127.5 - 1.0).collect()
}

fn host(buffer: &Buffer) -> Vec<f32> {
    let mut values = vec![0.0; buffer.len()];
    buffer.read_into(&mut values).expect("reads");
    values
}

/// Segment `k` of `bundle` with buffers holding pattern `seed`.
fn prepared(engine: &dyn Engine, bundle: &Bundle, k: usize, seed: usize) -> SegmentIo {
    let mut io = SegmentIo::new(engine, &bundle.manifest().segments[k]).expect("buffers");
    io.input
        .write_from(&pattern(io.input.len(), seed))
        .expect("writes");
    io
}

fn run(segment: &mut dyn Segment, io: SegmentIo) -> SegmentIo {
    segment.enqueue(io).expect("starts");
    segment.wait().expect("ends")
}

/// Output (if any) and pooled feature of a run on pattern `seed`.
fn outcome(io: &SegmentIo) -> (Option<Vec<f32>>, Vec<f32>) {
    (io.output.as_ref().map(host), host(&io.pooled))
}

fn runs_every_segment_at_the_manifests_shapes(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    for (k, spec) in bundle.manifest().segments.iter().enumerate() {
        let mut segment = engine.load(&bundle, k).expect("loads");
        let io = run(segment.as_mut(), prepared(engine, &bundle, k, 1));
        let (output, pooled) = outcome(&io);
        assert_eq!(output.map(|o| o.len()), spec.output.as_ref().map(elements));
        assert_eq!(pooled.len(), elements(&spec.pooled));
        assert!(pooled.iter().all(|v| v.is_finite()));
        assert!(pooled.iter().any(|v| *v != 0.0), "something was computed");
    }
}

fn buffers_start_zeroed_and_hold_what_is_written(engine: &dyn Engine) {
    let mut buffer = engine.buffer(5).expect("buffer");
    assert_eq!((buffer.len(), host(&buffer)), (5, vec![0.0; 5]));
    buffer
        .write_from(&[1.0, 2.0, 3.0, 4.0, 5.0])
        .expect("writes");
    assert_eq!(host(&buffer), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(buffer.write_from(&[1.0; 4]).is_err());
    assert!(buffer.read_into(&mut [0.0; 6]).is_err());
    assert_eq!(host(&buffer), [1.0, 2.0, 3.0, 4.0, 5.0]);
}

fn the_same_input_gives_the_same_bits(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 0).expect("loads");
    let first = outcome(&run(segment.as_mut(), prepared(engine, &bundle, 0, 1)));
    let other = outcome(&run(segment.as_mut(), prepared(engine, &bundle, 0, 2)));
    let again = outcome(&run(segment.as_mut(), prepared(engine, &bundle, 0, 1)));
    let mut fresh = engine.load(&bundle, 0).expect("loads");
    let elsewhere = outcome(&run(fresh.as_mut(), prepared(engine, &bundle, 0, 1)));
    assert_ne!(first, other, "the input matters");
    assert_eq!(first, again, "a run leaves nothing behind");
    assert_eq!(first, elsewhere, "loading anew changes nothing");
}

fn the_same_buffers_come_back(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 0).expect("loads");
    let io = prepared(engine, &bundle, 0, 3);
    let addresses = |io: &SegmentIo| {
        let of = |b: &Buffer| match b {
            Buffer::Host(values) => values.as_ptr().cast::<()>(),
            Buffer::Device(device) => std::ptr::from_ref(device.as_ref()).cast(),
        };
        [
            of(&io.input),
            io.output.as_ref().map_or(std::ptr::null(), of),
            of(&io.pooled),
        ]
    };
    let before = addresses(&io);
    let io = run(segment.as_mut(), io);
    assert_eq!(addresses(&io), before);
    assert_eq!(
        host(&io.input),
        pattern(io.input.len(), 3),
        "the input is as it was"
    );
}

fn a_second_enqueue_is_refused_and_the_run_goes_on(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 0).expect("loads");
    let alone = outcome(&run(segment.as_mut(), prepared(engine, &bundle, 0, 1)));
    segment
        .enqueue(prepared(engine, &bundle, 0, 1))
        .expect("starts");
    let refused = segment
        .enqueue(prepared(engine, &bundle, 0, 2))
        .expect_err("refused");
    assert!(refused.to_string().contains("segment 0"), "{refused}");
    let io = refused.io.expect("buffers come back");
    assert_eq!(host(&io.input), pattern(io.input.len(), 2));
    assert_eq!(outcome(&segment.wait().expect("ends")), alone);
}

fn waiting_for_nothing_is_refused(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 1).expect("loads");
    let refused = segment.wait().expect_err("nothing under way");
    assert!(refused.to_string().contains("segment 1"), "{refused}");
    assert!(refused.io.is_none());
    run(segment.as_mut(), prepared(engine, &bundle, 1, 1));
    assert!(segment.wait().is_err(), "a run is waited for once");
    run(segment.as_mut(), prepared(engine, &bundle, 1, 1));
}

fn buffers_of_a_wrong_length_are_refused(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let other = |buffer: &Buffer| engine.buffer(buffer.len() + 1).expect("buffer");
    let spoil: [fn(&mut SegmentIo, Buffer); 3] = [
        |io, b| io.input = b,
        |io, b| io.output = Some(b),
        |io, b| io.pooled = b,
    ];
    for k in 0..2 {
        let mut segment = engine.load(&bundle, k).expect("loads");
        for spoil in spoil {
            let mut io = prepared(engine, &bundle, k, 1);
            let longer = other(io.output.as_ref().unwrap_or(&io.input));
            spoil(&mut io, longer);
            let refused = segment.enqueue(io).expect_err("refused");
            assert!(refused.io.is_some(), "buffers come back: {refused}");
        }
        let mut io = prepared(engine, &bundle, k, 1);
        if io.output.take().is_some() {
            assert!(segment.enqueue(io).expect_err("refused").io.is_some());
        }
        run(segment.as_mut(), prepared(engine, &bundle, k, 1));
    }
}

/// Memory that no engine of ours has made.
#[derive(Debug)]
struct Foreign(usize);

impl DeviceBuffer for Foreign {
    fn len(&self) -> usize {
        self.0
    }
    fn read(&self, _: &mut [f32]) -> Result<(), EngineError> {
        Ok(())
    }
    fn write(&mut self, _: &[f32]) -> Result<(), EngineError> {
        Ok(())
    }
}

fn another_engines_buffers_are_refused(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 0).expect("loads");
    let foreign = |b: &Buffer| Buffer::Device(Box::new(Foreign(b.len())));
    let spoil: [fn(&mut SegmentIo, Buffer); 3] = [
        |io, b| io.input = b,
        |io, b| io.output = Some(b),
        |io, b| io.pooled = b,
    ];
    for (which, spoil) in spoil.into_iter().enumerate() {
        let mut io = prepared(engine, &bundle, 0, 1);
        let like = [Some(&io.input), io.output.as_ref(), Some(&io.pooled)][which];
        let stranger = foreign(like.expect("segment 0 has an output"));
        spoil(&mut io, stranger);
        let io = segment
            .enqueue(io)
            .expect_err("refused")
            .io
            .expect("buffers come back");
        if which != 0 {
            assert_eq!(
                host(&io.input),
                pattern(io.input.len(), 1),
                "nothing is mixed up"
            );
        }
    }
    run(segment.as_mut(), prepared(engine, &bundle, 0, 1));
}

fn dropping_a_segment_under_way_is_clean(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    for _ in 0..10 {
        let mut segment = engine.load(&bundle, 0).expect("loads");
        segment
            .enqueue(prepared(engine, &bundle, 0, 1))
            .expect("starts");
        drop(segment);
    }
}

fn two_segments_may_be_under_way_at_once(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut first = engine.load(&bundle, 0).expect("loads");
    let mut second = engine.load(&bundle, 1).expect("loads");
    let alone = (
        outcome(&run(first.as_mut(), prepared(engine, &bundle, 0, 1))),
        outcome(&run(second.as_mut(), prepared(engine, &bundle, 1, 2))),
    );
    for _ in 0..10 {
        first
            .enqueue(prepared(engine, &bundle, 0, 1))
            .expect("starts");
        second
            .enqueue(prepared(engine, &bundle, 1, 2))
            .expect("starts");
        let b = outcome(&second.wait().expect("ends"));
        let a = outcome(&first.wait().expect("ends"));
        assert_eq!((a, b), alone);
    }
}

fn a_feature_map_moves_on_without_a_copy(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut first = engine.load(&bundle, 0).expect("loads");
    let mut second = engine.load(&bundle, 1).expect("loads");
    let io = run(first.as_mut(), prepared(engine, &bundle, 0, 1));
    let map = host(io.output.as_ref().expect("segment 0 has an output"));
    let mut copied = prepared(engine, &bundle, 1, 0);
    copied.input.write_from(&map).expect("writes");
    let mut moved = prepared(engine, &bundle, 1, 0);
    moved.input = io.output.expect("as above");
    let expected = outcome(&run(second.as_mut(), copied));
    assert_eq!(outcome(&run(second.as_mut(), moved)), expected);
}

fn a_segment_runs_on_the_thread_it_is_moved_to(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let mut segment = engine.load(&bundle, 0).expect("loads");
    let here = outcome(&run(segment.as_mut(), prepared(engine, &bundle, 0, 1)));
    let io = prepared(engine, &bundle, 0, 1);
    let there = std::thread::spawn(move || outcome(&run(segment.as_mut(), io)));
    assert_eq!(there.join().expect("no panic"), here);
}

fn a_segment_that_is_not_there_is_refused(engine: &dyn Engine) {
    let bundle = shipped("tiny-e2");
    let error = engine.load(&bundle, 2).expect_err("two segments only");
    assert!(matches!(error, EngineError::Load { .. }), "{error}");
}

fn features_equal_the_golden_ones(engine: &dyn Engine) {
    for name in ["tiny-e2", "mobilenetv2-e5"] {
        let bundle = shipped(name);
        let golden = bundle.golden().expect("golden vectors");
        let errors = golden_features(engine, &bundle, &golden).expect("runs");
        assert_eq!(errors.len(), bundle.manifest().segments.len());
        for error in errors {
            assert!(error.features > 0);
            assert!(error.is_equal(), "{name}: {error:?}, tolerance {TOLERANCE}");
        }
    }
}

/// A bundle in 8 bits is for the native engine; tract knows no such networks.
#[test]
fn features_in_8_bits_equal_the_golden_ones() {
    let bundle = shipped("mobilenetv2-e5-int8");
    let golden = bundle.golden().expect("golden vectors");
    let isas = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];
    let engines = isas.into_iter().filter_map(NativeEngine::with_isa);
    let mut first = None;
    for engine in engines {
        let errors = golden_features(&engine, &bundle, &golden).expect("runs");
        assert!(errors.iter().all(|e| e.is_equal()), "{errors:?}");
        let first = first.get_or_insert_with(|| errors.clone());
        assert_eq!(*first, errors, "every instruction set gives the same bits");
    }
    let errors = golden_features(&AutoEngine::new(), &bundle, &golden).expect("runs");
    assert_eq!(first, Some(errors));
}

/// The native engine on one instruction set, or on the portable one where this
/// machine lacks it.
fn native(isa: Isa) -> NativeEngine {
    NativeEngine::with_isa(isa)
        .or_else(|| {
            println!("skipped: this machine has no {isa:?}");
            NativeEngine::with_isa(Isa::Portable)
        })
        .expect("every machine has the portable kernels")
}

/// ONNX Runtime, or the native engine where its library cannot be had.
#[cfg(feature = "ort")]
fn ort() -> Box<dyn Engine> {
    match e4::engine::ort::OrtEngine::open() {
        Ok(engine) => Box::new(engine),
        Err(error) => {
            println!("SKIP ort: {error}");
            Box::new(NativeEngine::new())
        }
    }
}

macro_rules! contract {
    ($engine_name:ident, $engine:expr; $($case:ident)*) => {
        mod $engine_name {
            use super::*;
            $(
                #[test]
                fn $case() {
                    with_watchdog(|| super::$case(&$engine));
                }
            )*
        }
    };
    ($($engine_name:ident: $engine:expr;)*) => {
        $(contract! {
            $engine_name, $engine;
            runs_every_segment_at_the_manifests_shapes
            buffers_start_zeroed_and_hold_what_is_written
            the_same_input_gives_the_same_bits
            the_same_buffers_come_back
            a_second_enqueue_is_refused_and_the_run_goes_on
            waiting_for_nothing_is_refused
            buffers_of_a_wrong_length_are_refused
            another_engines_buffers_are_refused
            dropping_a_segment_under_way_is_clean
            two_segments_may_be_under_way_at_once
            a_feature_map_moves_on_without_a_copy
            a_segment_runs_on_the_thread_it_is_moved_to
            a_segment_that_is_not_there_is_refused
            features_equal_the_golden_ones
        })*
    };
}

contract! {
    native_avx512: native(Isa::Avx512);
    native_avx2: native(Isa::Avx2);
    native_neon: native(Isa::Neon);
    native_portable: native(Isa::Portable);
    auto: AutoEngine::new();
    tract: CpuEngine::new();
    offload: Offload::new(NativeEngine::new());
    slow_offload: Offload::delayed(CpuEngine::new(), Duration::from_millis(3));
}

#[cfg(feature = "ort")]
contract! {
    ort: *ort();
}
