use super::*;
use crate::stop::Stop;
use crate::telemetry::FrameResult;
use crate::telemetry::output::FileOutput;
use crate::telemetry::testing::{frame, names};
use crate::telemetry::trace::Trace;
use proptest::prelude::*;

fn head(policy: &str) -> TraceHead {
    TraceHead {
        schema: SCHEMA.into(),
        bundle: "tiny \"e2\"".into(),
        bundle_sha256: "0f".into(),
        exit_policy: policy.into(),
        exits: 2,
        endless: false,
        labels: names(&["walk", "run \"fast\"\n"]),
    }
}

fn results() -> Vec<FrameResult> {
    let of = |number: u64, clip: u32, exit: u8| {
        let mut result = frame(exit);
        (result.frame, result.clip, result.label) = (number, clip, Some(1));
        result.exits[0].class = 1;
        result.exits[0].softmax = 0.123_456_79;
        result.exits[1].gate = 1.0;
        result
    };
    vec![of(0, 0, 1), of(1, 0, 0), of(3, 1, 0)]
}

fn written(results: &[FrameResult]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    let output = FileOutput::create("--trace", &path, &Stop::new()).unwrap();
    let mut trace = Trace::new(&head("gates"), Box::new(output));
    results.iter().for_each(|r| trace.record(r).unwrap());
    trace.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn refused(change: impl FnOnce(&mut Vec<String>)) -> (usize, String) {
    let text = String::from_utf8(written(&results())).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    change(&mut lines);
    ReadTrace::parse(lines.concat().as_bytes()).unwrap_err()
}

#[test]
fn what_was_written_reads_back_the_same() {
    let trace = ReadTrace::parse(&written(&results())).unwrap();
    assert_eq!(trace.head, head("gates"));
    assert_eq!(trace.frames.len(), 3);
    for (frame, result) in trace.frames.iter().zip(results()) {
        assert_eq!((frame.frame, frame.clip), (result.frame, result.clip));
        assert_eq!((frame.exit, frame.label), (result.exit, result.label));
        for (read, wrote) in frame.exits.iter().zip(result.evaluated()) {
            assert_eq!((read.class, read.softmax), (wrote.class, wrote.softmax));
            assert!(read.gate.to_bits() == wrote.gate.to_bits());
        }
    }
    let first: Vec<bool> = trace.frames.iter().map(|frame| frame.first).collect();
    assert_eq!(first, [true, false, true]);
    assert_eq!(trace.frames[1].is_right(), Some(true));
    assert_eq!(trace.frames[0].is_right(), Some(false));
}

#[test]
fn a_run_without_results_leaves_the_first_line() {
    let trace = ReadTrace::parse(&written(&[])).unwrap();
    assert!(trace.frames.is_empty());
}

#[test]
fn bad_lines_are_refused_with_their_number() {
    let swap = |from: &'static str, to: &'static str| {
        move |lines: &mut Vec<String>| lines[2] = lines[2].replace(from, to)
    };
    for (from, to, why) in [
        (
            "\"exit\":1",
            "\"exit\":0",
            "exit 0 is none of the exits 1 to 2",
        ),
        (
            "\"exit\":1",
            "\"exit\":3",
            "exit 3 is none of the exits 1 to 2",
        ),
        ("\"exit\":1", "\"exit\":2", "exits holds 1 entries"),
        ("\"frame\":1", "\"frame\":0", "frame 0 comes after frame 0"),
        ("\"first\":false", "\"first\":true", "first is true"),
        ("\"clip\":0", "\"clip\":9", "first is false"),
        ("0.12345679", "1.5", "softmax 1.5 is no probability"),
        ("0.12345679", "null", "invalid type: null"),
        (
            "\"label\":\"run",
            "\"label\":\"ran",
            "is none of the labels",
        ),
        ("{\"frame\"", "{\"x\":1,\"frame\"", "unknown field `x`"),
    ] {
        let (line, reason) = refused(swap(from, to));
        assert_eq!(line, 3, "{from} -> {to}: {reason}");
        assert!(reason.contains(why), "{from} -> {to}: {reason}");
    }
    let (line, reason) = refused(|lines| lines[3].truncate(20));
    assert!(line == 4 && reason.contains("torn"), "{line} {reason}");
    let (line, reason) = refused(|lines| lines[0] = lines[0].replace("trace/1", "trace/2"));
    assert!(line == 1 && reason.contains("e4.trace/1"), "{reason}");
    let (line, reason) = refused(|lines| drop(lines.remove(0)));
    assert!(line == 1 && reason.contains("e4.trace/1"), "{reason}");
    let always = |lines: &mut Vec<String>| lines[0] = lines[0].replace("gates", "always:2");
    assert_eq!(refused(always), (3, "exit 1 under always:2".to_owned()));
    assert_eq!(ReadTrace::parse(b"").unwrap_err().0, 1);
}

#[test]
fn the_largest_frame_fits_the_line_that_is_kept() {
    let wide = TraceHead {
        exits: MAX_EXITS,
        labels: names(&["\u{1}".repeat(300).as_str()]),
        ..head("gates")
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    let output = FileOutput::create("--trace", &path, &Stop::new()).unwrap();
    let mut trace = Trace::new(&wide, Box::new(output));
    let mut result = frame(7);
    (result.frame, result.clip, result.label) = (u64::MAX, u32::MAX, Some(0));
    for exit in &mut result.exits {
        (exit.softmax, exit.gate) = (f32::MIN_POSITIVE, 1.175_494_5e-38);
    }
    let before = trace.capacity();
    trace.record(&result).unwrap();
    assert_eq!(trace.capacity(), before);
}

proptest! {
    #[test]
    fn any_bytes_are_a_trace_or_a_sentence(bytes: Vec<u8>, place in 0_usize..400, with: u8) {
        let mut spoilt = written(&results());
        let place = place % spoilt.len();
        spoilt[place] = with;
        for bytes in [bytes, spoilt] {
            if let Err((line, reason)) = ReadTrace::parse(&bytes) {
                prop_assert!(line > 0 && !reason.contains('\n'));
            }
        }
    }
}
