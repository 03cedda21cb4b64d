//! `e4 run --trace`: what a user relies on.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/process.rs"]
mod process;

use e4::engine::bundle::Bundle;
use e4::sim::trace::ReadTrace;
use process::{BUNDLE, Clips, end, refused, run, text};
use std::path::Path;

#[test]
fn a_trace_says_what_each_exit_said_of_each_frame_under_every_policy() {
    let clips = Clips::new();
    let bundle = Bundle::open(BUNDLE).unwrap();
    for policy in ["gates", "always:1", "always:2", "softmax:0.5", "softmax"] {
        let file = clips.at("trace.jsonl");
        let done = end(run(&[
            "--clip",
            &clips.folder(),
            "--json",
            "--exit-policy",
            policy,
            "--trace",
            &file,
        ]));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let trace = ReadTrace::read(Path::new(&file)).unwrap();
        assert_eq!(trace.head.exit_policy, policy);
        assert_eq!(trace.head.bundle_sha256, bundle.digest());
        assert_eq!(trace.frames.iter().filter(|f| f.first).count(), 4);
        let lines = text(&done.stdout);
        assert_eq!(lines.lines().count(), trace.frames.len());
        for (line, frame) in lines.lines().zip(&trace.frames) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let exit = usize::from(frame.exit);
            let name = |class: u16| trace.head.labels[usize::from(class)].as_str();
            assert_eq!(line["frame"], frame.frame);
            assert_eq!(line["exit"], exit + 1);
            assert_eq!(line["label"], name(frame.label.unwrap()));
            assert_eq!(line["class"], name(frame.exits[exit].class));
            let confidence = line["confidence"].as_f64().unwrap();
            assert!((confidence - f64::from(frame.exits[exit].softmax)).abs() < 1e-6);
        }
    }
}

#[test]
fn a_trace_never_overwrites_what_the_run_reads_or_writes_otherwise() {
    let clips = Clips::new();
    let file = clips.at("one.json");
    let same = [
        "--clip",
        &clips.folder(),
        "--trace",
        &file,
        "--summary",
        &file,
    ];
    refused(&same, "would overwrite the file of --summary");
    let missing = ["--clip", &clips.folder(), "--trace", "/nowhere/at/all"];
    refused(&missing, "--trace /nowhere/at/all");
}
