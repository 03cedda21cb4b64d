//! `e4 run` and energy: measured, asked for and not to be had, lost on the way.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/power_tree.rs"]
mod power_tree;
#[path = "support/process.rs"]
mod process;

use power_tree::{HWMON, PowerTree};
use process::{end, run, wait_for};
use serde_json::Value;
use std::fs;

const GENERATED: [&str; 6] = [
    "--source",
    "generator",
    "--frames",
    "60",
    "--sample=false",
    "--json",
];

fn orin() -> PowerTree {
    PowerTree::empty()
        .ina3221(0, &["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"])
        .board("nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0")
}

struct Ran {
    code: Option<i32>,
    lines: Vec<Value>,
    summary: Value,
    words: String,
}

fn go(tree: &PowerTree, words: &[&str]) -> Ran {
    let summary = tree.path("summary.json");
    let place = [
        "--sysfs-root",
        tree.root().to_str().unwrap(),
        "--summary",
        summary.to_str().unwrap(),
    ];
    let ended = end(run(&[&GENERATED[..], &place, words].concat()));
    let text = String::from_utf8(ended.stdout).unwrap();
    Ran {
        code: ended.status.code(),
        lines: text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        summary: fs::read(summary)
            .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap()),
        words: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[test]
fn a_run_tells_its_energy_with_bar_boundary_sensor_and_window() {
    let ran = go(&orin(), &["--pace", "realtime"]);
    assert_eq!(ran.code, Some(0), "{}", ran.words);
    let energy = &ran.summary["energy"];
    let number = |name: &str| {
        energy[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {energy}"))
    };
    let (joules, error) = (number("joules"), number("error_joules"));
    let truth = 5.0 * number("seconds");
    assert!(
        (joules - truth).abs() <= error && error <= 0.02 * truth,
        "{energy}"
    );
    assert!((number("watts") - 5.0).abs() < 1e-6, "{energy}");
    assert_eq!(energy["boundary"], "VDD_IN (the whole board: orin-nano)");
    assert_eq!(energy["rails"], serde_json::json!(["VDD_IN"]));
    assert!(
        energy["sensor"].as_str().unwrap().contains("hwmon0"),
        "{energy}"
    );
    assert_eq!(number("window_ms"), 7.5);
    let results = ran.summary["frames"]["results"].as_f64().unwrap();
    let run_s = number("seconds") + number("missed_seconds");
    assert!(
        (number("per_frame_joules") - 5.0 * run_s / results).abs() < 1e-6,
        "{energy}"
    );
    assert!(
        ran.words.contains("VDD_IN (the whole board"),
        "{}",
        ran.words
    );
    assert!(
        ran.lines.iter().all(|line| line.get("energy_mj").is_none()),
        "a live source waits"
    );
}

#[test]
fn lines_that_wait_for_it_have_their_frames_energy_and_keep_their_order() {
    let ran = go(
        &orin(),
        &[
            "--pace",
            "realtime",
            "--frame-energy",
            "--threads",
            "capture,infer,gate,sink",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.words);
    let results = ran.summary["frames"]["results"].as_u64().unwrap();
    assert_eq!(ran.lines.len() as u64, results);
    let frames: Vec<_> = ran
        .lines
        .iter()
        .map(|line| line["frame"].as_u64().unwrap())
        .collect();
    assert!(frames.is_sorted(), "{frames:?}");
    let with: Vec<_> = ran
        .lines
        .iter()
        .filter(|line| line["energy_mj"].is_number())
        .collect();
    assert!(
        with.len() * 4 > ran.lines.len() * 3,
        "{} of {}",
        with.len(),
        ran.lines.len()
    );
    let sum: f64 = with
        .iter()
        .map(|line| line["energy_mj"].as_f64().unwrap())
        .sum();
    let joules = ran.summary["energy"]["joules"].as_f64().unwrap();
    assert!(
        sum / 1e3 <= joules * 1.01,
        "{sum} mJ of {joules} J: something is counted twice"
    );
}

#[test]
fn energy_that_is_asked_for_and_cannot_be_had_is_one_sentence_and_code_2() {
    let none = PowerTree::empty();
    for sensor in ["any", "ina3221", "rapl", "acpi", "hwmon"] {
        let ran = go(&none, &["--power-sensor", sensor]);
        assert_eq!(ran.code, Some(2), "{}", ran.words);
        assert_eq!(ran.words.lines().count(), 1, "{}", ran.words);
        assert!(ran.words.contains(&format!(
            "--power-sensor {sensor}: this machine has no power sensor"
        )));
        assert!(ran.lines.is_empty() && ran.summary.is_null());
    }
    for words in [
        &["--frame-energy"][..],
        &["--power-rails", "VDD_IN"],
        &["--board", "nano"],
    ] {
        let ran = go(&none, words);
        assert_eq!(ran.code, Some(2), "{}", ran.words);
        assert_eq!(ran.words.lines().count(), 1, "{}", ran.words);
        assert!(ran.words.contains(words[0]), "{}", ran.words);
        assert!(ran.words.contains("no power sensor"), "{}", ran.words);
    }
    let ran = go(&orin(), &["--power-rails", "VDD_MOON"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.words.contains("has no rail VDD_MOON"), "{}", ran.words);
    let ran = go(&none, &["--board", "orin"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.words.contains("--board") && ran.words.contains("orin-nano"),
        "{}",
        ran.words
    );
}

#[test]
fn no_sensor_and_none_say_null_and_never_zero() {
    for (tree, words) in [
        (PowerTree::empty(), ["--power-sensor", "auto"].as_slice()),
        (orin(), &["--power-sensor", "none", "--frame-energy"]),
    ] {
        let ran = go(&tree, &[&["--pace", "fast"], words].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.words);
        assert!(ran.summary["energy"].is_null() && ran.summary.get("energy").is_some());
        assert!(!ran.lines.is_empty() && ran.lines.iter().all(|l| l.get("energy_mj").is_none()));
        assert!(!ran.words.contains("energy"), "{}", ran.words);
    }
}

#[test]
fn a_run_shorter_than_the_window_says_so() {
    let tree = PowerTree::empty().acpi(0);
    tree.put(
        &format!("{HWMON}/hwmon0/device/power1_average_interval"),
        60_000,
    );
    let ran = go(&tree, &["--pace", "fast"]);
    assert_eq!(ran.code, Some(0), "{}", ran.words);
    assert!(ran.summary["energy"].is_null(), "{}", ran.summary);
    assert!(ran.words.contains("no energy figure"), "{}", ran.words);
}

#[test]
fn a_sensor_that_vanishes_in_mid_run_costs_no_frame_and_is_said() {
    let tree = orin();
    let summary = tree.path("summary.json");
    let root = tree.root().to_str().unwrap();
    let child = run(&[
        "--source",
        "generator",
        "--frames",
        "90",
        "--sample=false",
        "--sysfs-root",
        root,
        "--output",
        tree.path("lines").to_str().unwrap(),
        "--summary",
        summary.to_str().unwrap(),
    ]);
    let lines = tree.path("lines");
    wait_for(|| fs::read_to_string(&lines).is_ok_and(|text| text.lines().count() > 20));
    fs::remove_file(tree.path(&format!("{HWMON}/hwmon0/in1_input"))).unwrap();
    let ended = end(child);
    let words = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{words}");
    assert!(
        words.contains("readings failed") && words.contains("hwmon0/in1_input"),
        "{words}"
    );
    let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    let energy = &summary["energy"];
    assert!(energy["missed_seconds"].as_f64().unwrap() > 0.2, "{energy}");
    assert!(energy["failed_readings"].as_u64().unwrap() > 0, "{energy}");
    assert!(
        (energy["watts"].as_f64().unwrap() - 5.0).abs() < 1e-6,
        "{energy}"
    );
    let frames = &summary["frames"];
    let dropped: u64 = frames["dropped"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(
        frames["results"].as_u64().unwrap() + dropped,
        frames["captured"].as_u64().unwrap()
    );
}

#[test]
fn a_counter_that_stands_still_has_no_figure_and_a_sentence() {
    let words = ["--pace", "fast", "--power-sensor", "rapl", "--frame-energy"];
    let ran = go(&PowerTree::empty().rapl(), &words);
    assert_eq!(ran.code, Some(0), "{}", ran.words);
    assert!(ran.summary["energy"].is_null(), "{}", ran.summary);
    assert!(ran.words.contains("no energy figure"), "{}", ran.words);
    assert!(ran.lines.iter().all(|line| line["energy_mj"].is_null()));
}
