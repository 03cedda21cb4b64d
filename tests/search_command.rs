//! `e4 search` and `e4 plan --show`: fields, exit codes, sentences.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn e4(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e4"));
    command.args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = text(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A board with CPU and GPU but no memory clock: 6 x 5 points.
fn grid(folder: &Path) -> PathBuf {
    let mut text = "cpu_khz,gpu_khz,emc_khz,latency_s,energy_j\n".to_owned();
    for cpu in 1..=6 {
        for gpu in 1..=5 {
            let (c, g) = (f64::from(cpu) / 6.0, f64::from(gpu) / 5.0);
            let latency = 0.001 + 0.003 / c + 0.010 / g;
            let energy = latency * (2.0 + 3.0 * c * c * c + 9.0 * g * g * g);
            writeln!(
                text,
                "{},{},0,{latency},{energy}",
                cpu * 300_000,
                gpu * 200_000
            )
            .unwrap();
        }
    }
    let path = folder.join("board.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn search(grid: &Path, words: &[&str]) -> Output {
    let start = ["search", "--grid", grid.to_str().unwrap()];
    e4(&[&start[..], words].concat())
}

#[test]
fn json_is_a_line_a_probe_and_then_the_choice() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    for method in ["cd", "random", "exhaustive", "model"] {
        let words = [
            "--method",
            method,
            "--cap-slowdown",
            "1.2",
            "--budget",
            "20",
            "--noise",
            "0.03",
            "--seed",
            "7",
            "--json",
        ];
        let output = search(&grid, &words);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(
            output.stdout,
            search(&grid, &words).stdout,
            "same seed, same bytes"
        );
        let lines = lines(&output);
        let (last, probes) = lines.split_last().unwrap();
        let keys: Vec<&String> = last.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["method", "probes", "choice", "gap", "cap_kept"]);
        assert_eq!(last["method"], method);
        assert_eq!(last["probes"], probes.len());
        assert!(probes.len() <= 20 && last["gap"].is_f64() && last["cap_kept"].is_boolean());
        let choice: Vec<&String> = last["choice"].as_object().unwrap().keys().collect();
        assert_eq!(choice, ["cpu_khz", "gpu_khz", "emc_khz"]);
        assert_eq!(last["choice"]["emc_khz"], 0);
        for probe in probes {
            assert!(probe["latency_s"].as_f64().unwrap() > 0.0);
            assert!(probe["cpu_khz"].is_u64() && probe["energy_j"].is_f64());
        }
    }
}

#[test]
fn without_noise_every_point_is_read_and_the_optimum_found() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    let output = search(
        &grid,
        &["--method", "exhaustive", "--cap-ms", "20", "--json"],
    );
    let lines = lines(&output);
    assert_eq!(lines.len(), 31);
    assert_eq!(lines[30]["gap"], 0.0);
    assert_eq!(lines[30]["cap_kept"], true);
    let words = search(&grid, &["--method", "exhaustive", "--cap-ms", "20"]);
    let words = text(&words.stdout);
    assert!(
        words.contains("gap 0.00 %") && words.contains("kept"),
        "{words}"
    );
}

#[test]
fn a_cap_that_no_point_keeps_has_no_choice() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    for method in ["cd", "random", "exhaustive", "model"] {
        let output = search(&grid, &["--method", method, "--cap-ms", "0.5", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let lines = lines(&output);
        assert!(lines.last().unwrap()["choice"].is_null());
        let words = text(&output.stderr);
        assert!(
            words.contains("--cap-ms") && words.lines().count() == 1,
            "{words}"
        );
    }
}

#[test]
fn a_thermal_cap_keeps_the_search_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    let words = [
        "--method",
        "model",
        "--max-gpu-khz",
        "600000",
        "--json",
        "--budget",
        "12",
    ];
    for line in lines(&search(&grid, &words)) {
        let gpu = line.get("gpu_khz").unwrap_or(&line["choice"]["gpu_khz"]);
        assert!(gpu.as_u64().unwrap() <= 600_000);
    }
    let nothing = search(&grid, &["--method", "cd", "--max-gpu-khz", "1"]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn bad_grids_and_flags_are_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.csv");
    let head = "cpu_khz,gpu_khz,emc_khz,latency_s,energy_j\n1,1,0,1,1\n";
    for (row, line, part) in [
        ("2,1,0,NaN,1", 3, "latency_s"),
        ("2,1,0,1,-4", 3, "energy_j"),
        ("1,1,0,2,2", 3, "line 2"),
        ("2,1,0,2", 3, "4 fields"),
        ("2,1,9,2,1", 2, "emc_khz"),
    ] {
        std::fs::write(&path, format!("{head}{row}\n")).unwrap();
        for output in [
            search(&path, &["--method", "cd"]),
            e4(&["plan", "--show", path.to_str().unwrap()]),
        ] {
            assert_eq!(output.status.code(), Some(2), "{row}");
            let words = text(&output.stderr);
            assert!(words.contains(&format!("bad.csv:{line}: ")), "{words}");
            assert!(
                words.contains(part) && words.lines().count() == 1,
                "{words}"
            );
        }
    }
    let grid = grid(folder.path());
    for words in [
        &["--method", "best"][..],
        &["--method", "cd", "--budget", "0"],
        &["--method", "cd", "--noise", "-1"],
        &["--method", "cd", "--cap-ms", "1", "--cap-slowdown", "1.2"],
        &["--method", "cd", "--cap-slowdown", "NaN"],
        &[],
    ] {
        let output = search(&grid, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn the_plot_is_an_svg() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    let file = folder.path().join("out.svg");
    let plot = ["--plot", file.to_str().unwrap()];
    let output = search(
        &grid,
        &[&["--method", "model", "--cap-slowdown", "1.2"], &plot[..]].concat(),
    );
    assert_eq!(output.status.code(), Some(0));
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("latency, ms"));
    assert!(svg.matches("<circle").count() > 30 + 9);
}

#[test]
fn compare_prints_a_line_a_method_with_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    let words = [
        "--compare",
        "--seeds",
        "3",
        "--noise",
        "0.03",
        "--budget",
        "12",
        "--json",
    ];
    for place in [grid.as_path(), folder.path()] {
        let lines = lines(&search(place, &words));
        assert_eq!(lines.len(), 4);
        for line in lines {
            assert_eq!(line["runs"], 12);
            let median = &line["gap_median"];
            let [low, value, high] = ["low", "value", "high"].map(|k| median[k].as_f64().unwrap());
            assert!(low <= value && value <= high);
        }
    }
    let table = search(&grid, &words[..7]);
    assert_eq!(text(&table.stdout).lines().count(), 5);
}

#[test]
fn a_shown_table_reads_back_from_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path());
    let copy = folder.path().join("board.cost");
    let (grid, copy) = (grid.to_str().unwrap(), copy.to_str().unwrap());
    let first = e4(&["plan", "--show", grid, "--out", copy]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(first.stdout, e4(&["plan", "--show", copy]).stdout);
    assert!(text(&first.stdout).contains("measured"));
    assert_eq!(
        e4(&["plan", "--show", "no-such-file"]).status.code(),
        Some(2)
    );
}

#[test]
fn recorded_grids_are_searched_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/grids");
    if !folder.is_dir() {
        println!("skipped: no recorded grids at {}", folder.display());
        return;
    }
    let words = [
        "--compare",
        "--method",
        "model",
        "--seeds",
        "1",
        "--noise",
        "0",
        "--budget",
        "24",
        "--json",
    ];
    let line = lines(&search(&folder, &words)).remove(0);
    let worst = line["gap_worst"].as_f64().unwrap();
    assert!(worst <= 0.035, "{line}");
}
