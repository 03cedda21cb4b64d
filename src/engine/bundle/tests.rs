use super::*;
use crate::telemetry::MAX_EXITS;

const TEXT: &str = r#"
schema = "e4.bundle/1"
name = "two"
labels = ["a", "b"]
window = 20
frame_interval_ns = 100000000

[input]
width = 32
height = 16
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]
fit = "crop"

[state]
policy = "carry"
cut = "ignore"
cut_distance = 0.5

[heads]
grid = 2
adapter_channels = 8
feature = 32
hidden = 24
attention = 8
gate_projection = 8

[[segment]]
file = "segment_0.onnx"
input = [1, 3, 16, 32]
output = [1, 12, 4, 8]
pooled = [1, 12, 2, 2]
macs = 2000

[[segment]]
file = "segment_1.onnx"
input = [1, 12, 4, 8]
pooled = [1, 48, 2, 2]
macs = 1000

[[exit]]
threshold = 0.5
softmax_threshold = 0.9
rate = 0.6
head_macs = 100

[[exit]]
rate = 0.4
head_macs = 10
"#;

#[test]
fn a_manifest_is_read_as_written() {
    let m = Manifest::parse(TEXT).unwrap();
    assert_eq!(m.exit_count(), 2);
    assert_eq!(m.input.fit, Fit::Crop);
    assert_eq!(m.state.policy, StatePolicy::Carry);
    assert_eq!(m.exits[0].threshold, Some(0.5));
    assert_eq!(m.segments[1].output, None);
    assert_eq!((m.macs_to(0), m.macs_to(1)), (2100, 3110));
}

/// Each replacement makes one value wrong; the error must name that field.
#[test]
fn a_value_that_cannot_be_is_refused_and_named() {
    for (from, to, field) in [
        ("e4.bundle/1", "e4.bundle/2", "schema"),
        ("\"two\"", "\"../two\"", "name"),
        ("[\"a\", \"b\"]", "[\"a\"]", "labels"),
        ("[\"a\", \"b\"]", "[\"a\", \"a\"]", "labels[1]"),
        ("[\"a\", \"b\"]", "[\" \", \"b\"]", "labels[0]"),
        ("window = 20", "window = 0", "window"),
        ("window = 20", "window = 20000", "window"),
        ("100000000\n", "0\n", "frame_interval_ns"),
        ("width = 32", "width = 0", "input.width"),
        ("height = 16", "height = 1000000", "input.height"),
        ("mean = [127.5", "mean = [nan", "input.mean"),
        ("std = [127.5", "std = [0.0", "input.std"),
        ("std = [127.5", "std = [-inf", "input.std"),
        (
            "cut_distance = 0.5",
            "cut_distance = 2.1",
            "state.cut_distance",
        ),
        ("grid = 2", "grid = 0", "heads.grid"),
        ("grid = 2", "grid = 4", "segment[0].pooled"),
        ("hidden = 24", "hidden = 100000", "heads.hidden"),
        ("segment_0.onnx", "sub/segment_0.onnx", "segment[0].file"),
        ("segment_0.onnx", "..onnx", "segment[0].file"),
        ("segment_0.onnx", "segment_1.onnx", "segment[1].file"),
        ("[1, 3, 16, 32]", "[1, 3, 32, 16]", "segment[0].input"),
        (
            "input = [1, 12, 4, 8]",
            "input = [1, 12, 8, 4]",
            "segment[1].input",
        ),
        (
            "output = [1, 12, 4, 8]",
            "output = [2, 12, 4, 8]",
            "segment[0].output",
        ),
        (
            "output = [1, 12, 4, 8]",
            "output = [1, 4096, 4096, 4096]",
            "segment[0].output",
        ),
        ("output = [1, 12, 4, 8]\n", "", "segment[0].output"),
        (
            "[1, 48, 2, 2]",
            "[1, 48, 2, 2]\noutput = [1, 48, 2, 2]",
            "segment[1].output",
        ),
        ("[1, 12, 2, 2]", "[1, 13, 2, 2]", "segment[0].pooled"),
        ("[1, 48, 2, 2]", "[1, 48, 2, 3]", "segment[1].pooled"),
        ("[1, 48, 2, 2]", "[1, 0, 2, 2]", "segment[1].pooled"),
        (
            "macs = 1000",
            "macs = 9000000000000000000",
            "segment[1].macs",
        ),
        ("threshold = 0.5", "threshold = 1.0", "exit[0].threshold"),
        ("threshold = 0.5", "threshold = 0.0", "exit[0].threshold"),
        ("threshold = 0.5", "threshold = 1.5", "exit[0].threshold"),
        ("threshold = 0.5", "threshold = -0.5", "exit[0].threshold"),
        ("threshold = 0.5", "threshold = nan", "exit[0].threshold"),
        (
            "threshold = 0.5",
            "threshold = 0.99999999999",
            "exit[0].threshold",
        ),
        ("\nthreshold = 0.5", "", "exit[0].threshold"),
        (
            "rate = 0.4",
            "rate = 0.4\nthreshold = 0.5",
            "exit[1].threshold",
        ),
        (
            "softmax_threshold = 0.9",
            "softmax_threshold = 7",
            "exit[0].softmax_threshold",
        ),
        ("rate = 0.4", "rate = 1.4", "exit[1].rate"),
        ("rate = 0.4", "rate = 0.1", "rate"),
        (
            "head_macs = 10\n",
            "head_macs = 9000000000000000000\n",
            "exit[1].head_macs",
        ),
    ] {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from}");
        let error = Manifest::parse(&text).unwrap_err();
        assert!(error.field.contains(field), "{from} -> {to}: {error}");
    }
}

/// What is no value of the field's type is named by its line and text.
#[test]
fn text_that_is_not_a_manifest_is_refused_by_line() {
    for (from, to, words) in [
        ("window = 20", "window = -1", "line 5 (window = -1)"),
        ("window = 20", "window = 20\nwindows = 20", "windows"),
        ("window = 20\n", "", "window"),
        ("fit = \"crop\"", "fit = \"squash\"", "squash"),
        ("policy = \"carry\"", "policy = \"drop\"", "drop"),
        ("cut = \"ignore\"", "cut = 1", "cut = 1"),
        ("width = 32", "width = 32\nchannels = 3", "channels"),
        ("grid = 2", "grid = 2.5", "grid = 2.5"),
        ("[1, 3, 16, 32]", "[1, 3, 16]", "[1, 3, 16]"),
        ("macs = 1000", "macs = 99999999999999999999", "macs = 9999"),
        ("[heads]", "[heads", "[heads"),
    ] {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT, "{from}");
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{from} -> {to}: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
}

#[test]
fn segments_and_exits_go_in_pairs() {
    let error = Manifest::parse(&format!("{TEXT}\n[[exit]]\nrate = 0.0\nhead_macs = 0\n"));
    assert!(error.unwrap_err().field.contains("[[exit]]"));
    let many =
        "[[segment]]\nfile = \"a.onnx\"\ninput = [1, 3, 1, 1]\npooled = [1, 1, 1, 1]\nmacs = 1\n";
    let error = Manifest::parse(&format!("{TEXT}\n{}", many.repeat(MAX_EXITS)));
    assert!(error.unwrap_err().field.contains("[[segment]]"));
}
