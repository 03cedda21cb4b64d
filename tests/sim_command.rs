//! `e4 sim`: what a user relies on.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/process.rs"]
mod process;

use process::{BUNDLE, Clips, e4, end, run, text};
use serde_json::Value;
use std::process::Output;
use std::time::Instant;

/// Traces of the small bundle, by policy.
struct Traces(Clips);

impl Traces {
    fn new() -> Self {
        let clips = Clips::new();
        for (policy, name) in [("gates", "g"), ("always:2", "a"), ("softmax", "s")] {
            let file = clips.at(name);
            let words = [
                "--clip",
                &clips.folder(),
                "--exit-policy",
                policy,
                "--trace",
                &file,
            ];
            assert_eq!(end(run(&words)).status.code(), Some(0));
        }
        Self(clips)
    }

    fn sim(&self, words: &[&str]) -> Output {
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.0.at(name),
            None => (*word).to_owned(),
        });
        let words: Vec<String> = words.collect();
        let mut command = e4();
        command.args(["sim", "--bundle", BUNDLE]).args(words);
        end(command.spawn().unwrap())
    }
}

fn figures(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_simulation_says_what_it_is_and_what_it_rests_on() {
    let traces = Traces::new();
    let done = traces.sim(&["--board", "orin-nano", "--trace", "@g"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let words = text(&done.stdout);
    for word in [
        "simulated, anchored",
        "VDD_IN",
        "idle included",
        "late",
        "accuracy",
        "staged",
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }
    let file = traces.0.at("summary.json");
    let value = figures(&traces.sim(&[
        "--board",
        "tx2",
        "--trace",
        "@g",
        "--json",
        "--summary",
        &file,
        "--frames",
        "500",
    ]));
    assert_eq!(value["source"], "simulated");
    assert_eq!(value["mark"], "simulated, grid-calibrated");
    assert_eq!(value["method"], "ours");
    assert_eq!(value["figures"]["frames"], 500);
    assert!(value["figures"]["energy_mj"].as_f64().unwrap() > 0.0);
    assert!(value["figures"]["dvfs"]["staged"].is_u64());
    assert_eq!(value["plan"]["format"], "e4.plan/1");
    let saved: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(saved, value);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let traces = Traces::new();
    for method in ["ours", "e4", "gates-governors"] {
        let seeded = |seed| {
            let words = ["--board", "nano", "--trace", "@g", "--json", "--seed", seed];
            traces
                .sim(&[&words[..], &["--method", method]].concat())
                .stdout
        };
        assert_eq!(seeded("5"), seeded("5"), "{method}");
        assert_ne!(seeded("5"), seeded("6"), "{method}");
    }
}

#[test]
fn the_method_follows_from_the_trace_and_a_wrong_trace_is_refused() {
    let traces = Traces::new();
    for (name, method) in [("@a", "governors"), ("@s", "softmax"), ("@g", "ours")] {
        let value = figures(&traces.sim(&["--board", "nano", "--trace", name, "--json"]));
        assert_eq!(value["method"], method);
    }
    let refused = |words: &[&str], part: &str| {
        let done = traces.sim(words);
        let sentence = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{sentence}");
        assert!(
            sentence.starts_with("e4") && sentence.contains(part),
            "{sentence}"
        );
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    };
    refused(
        &["--board", "nano", "--trace", "@g", "--method", "ztt"],
        "always:K",
    );
    refused(&["--board", "pico", "--trace", "@g"], "orin-nano");
    refused(&["--board", "nano", "--trace", "@missing"], "missing");
    refused(&["--board", "nano", "--trace", "@g", "--fps", "0"], "--fps");
    refused(
        &["--board", "nano", "--trace", "@g", "--deadline-ms", "-1"],
        "--deadline-ms",
    );
    refused(&["--table", "--trace", "@g"], "always:K");
    std::fs::write(traces.0.at("bad"), "{\"schema\":\"e4.trace/1\"}\n").unwrap();
    refused(&["--board", "nano", "--trace", "@bad"], "bad:1:");
}

#[test]
fn the_table_is_written_in_three_forms() {
    let traces = Traces::new();
    let folder = traces.0.at("table");
    let done = traces.sim(&[
        "--table", "--trace", "@g", "@a", "@s", "--fps", "10", "--frames", "100", "--out", &folder,
    ]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    assert_eq!(read("table.md"), text(&done.stdout));
    assert_eq!(read("table.csv").lines().count(), 1 + 5 * 14);
    for board in ["nano", "tx2", "xavier-nx", "orin-nano", "agx-orin"] {
        assert!(read(&format!("{board}.svg")).starts_with("<svg"));
    }
}

/// A day of frames in under a minute, on one core; the median of five.
#[test]
fn it_simulates_100000_frames_a_second() {
    let traces = Traces::new();
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            let words = [
                "--board",
                "orin-nano",
                "--trace",
                "@g",
                "--frames",
                "1000000",
                "--json",
            ];
            figures(&traces.sim(&words));
            1e6 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("frames a second: {rates:.0?}");
    assert!(rates[2] >= 100_000.0, "{rates:?}");
}
