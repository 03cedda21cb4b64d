//! Values that are refused, each in one sentence.

use super::refused;

#[test]
fn bad_values_of_the_source_name_file_line_key_and_what_would_fit() {
    let cases = [
        (
            "[source]\npace = \"fats\"",
            "e4.toml:2: source.pace: \"fats\" is not one of auto, fast, realtime",
        ),
        (
            "[source]\npace = 3",
            "e4.toml:2: source.pace: 3 is not one of auto, fast, realtime",
        ),
        (
            "[source]\nframes = -1",
            "e4.toml:2: source.frames: -1 is not a whole number from 1",
        ),
        (
            "[source]\nframes = 0",
            "e4.toml:2: source.frames: 0 is not a whole number from 1",
        ),
        (
            "[source]\nloop = \"yes\"",
            "e4.toml:2: source.loop: \"yes\" is not true or false",
        ),
        (
            "[source]\nraw_fps = nan",
            "e4.toml:2: source.raw_fps: nan is not a number",
        ),
        (
            "[source]\nraw_width = 64",
            "e4.toml:2: source.raw_width: a raw clip needs source.raw_format (--raw-format) and source.raw_height (--raw-height) as well",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text), wanted);
    }
}

#[test]
fn bad_values_of_other_parts_name_file_line_key_and_what_would_fit() {
    let cases = [
        (
            "[source.generator]\ndifficulty = 1.5",
            "e4.toml:2: source.generator.difficulty: must be from 0 to 1",
        ),
        (
            "[source]\ngenerator = 3",
            "e4.toml:2: source.generator: is a table of settings, not a setting",
        ),
        (
            "[exit]\npolicy = \"always:0\"",
            "e4.toml:2: exit.policy: \"always:0\" is not gates, always:K (K from 1), softmax:P (0 < P <= 1) or softmax",
        ),
        (
            "[exit]\npolicy = \"softmax:nan\"",
            "e4.toml:2: exit.policy: \"softmax:nan\" is not gates, always:K (K from 1), softmax:P (0 < P <= 1) or softmax",
        ),
        (
            "[engine]\nkind = \"gpu\"",
            "e4.toml:2: engine.kind: \"gpu\" is not one of auto, native, tract, ort, cpu",
        ),
        (
            "[pipeline]\nslots = 2",
            "e4.toml:2: pipeline.slots: must be from 3 (one being filled, one waiting, one in work) to 64",
        ),
        (
            "[pipeline]\nthreads = [[\"gate\"]]",
            "e4.toml:2: pipeline.threads: the threads must name capture, infer, gate and sink once each, in this order",
        ),
        (
            "[pipeline]\nthreads = [\"capture\"]",
            "e4.toml:2: pipeline.threads: \"capture\" is not a list of stages",
        ),
        (
            "[bundle]\npath = \"\"",
            "e4.toml:2: bundle.path: \"\" is not a path",
        ),
        (
            "[stage.gate]\npriority = 0",
            "e4.toml:2: stage.gate.priority: fifo and rr know priorities from 1 to 99",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text), wanted);
    }
}
