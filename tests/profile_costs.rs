//! `e4 profile` and `--dvfs auto` on a tree that stands in for the kernel's, where the
//! power is U-shaped over the CPU's clock.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/process.rs"]
mod process;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;
#[path = "support/u_shaped.rs"]
mod u_shaped;

use process::{end, summary, text, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Output};
use tree::{CPU, FakeTree};
use u_shaped::{BEST_KHZ, Poker};

/// The wait for the next frame outweighs the work, so that what else runs on the host is
/// of no matter.
const DEADLINE: [&str; 2] = ["--deadline-ms", "20000"];

fn board() -> FakeTree {
    let tree = FakeTree::empty();
    tree.add_cpu();
    tree
}

fn start(tree: &FakeTree, command: &str, words: &[&str]) -> Child {
    let mut e4 = process::e4();
    e4.args([command, "--bundle", process::BUNDLE]).args(words);
    e4.arg("--sysfs-root").arg(tree.root());
    e4.arg("--runtime-dir").arg(tree.runtime_dir());
    e4.spawn().unwrap()
}

fn profile(tree: &FakeTree, words: &[&str]) -> Output {
    let all = [
        &DEADLINE[..],
        &["--json", "--budget", "8", "--precision", "0.2"],
        words,
    ];
    end(start(tree, "profile", &all.concat()))
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_profile_finds_the_clock_of_least_power_and_its_table_makes_a_plan() {
    let tree = board();
    let poker = Poker::start(&tree);
    let before = tree.get(&format!("{CPU}/scaling_max_freq"));
    let out = tree.path("costs");
    let report = report(&profile(&tree, &["--out", out.to_str().unwrap()]));
    assert_eq!(report["schema"], "e4.profile/1");
    assert_eq!(report["choice"]["cpu_khz"], BEST_KHZ, "{report}");
    assert!(report["probes"].as_u64() <= Some(8));
    assert_eq!(tree.get(&format!("{CPU}/scaling_max_freq")), before);
    assert!(!tree.path("costs.progress").exists());
    drop(poker);
    let plan = tree.path("plan.toml");
    let mut e4 = process::e4();
    e4.args(["plan", "--exits", "1,3", "--json"]).args(DEADLINE);
    e4.arg("--table").arg(&out).arg("--out").arg(&plan);
    let made = self::report(&end(e4.spawn().unwrap()));
    let segments = &made["plan"]["beliefs"][0]["segments"];
    assert_eq!(segments[0]["cpu_khz"], BEST_KHZ, "{made}");
    // What was made is executed.
    let run = start(
        &tree,
        "run",
        &[
            "--dvfs",
            "plan",
            "--plan",
            plan.to_str().unwrap(),
            "--frames",
            "20",
        ],
    );
    let run = end(run);
    assert!(run.status.success(), "{}", text(&run.stderr));
}

#[test]
fn a_profile_that_was_killed_goes_on_and_one_of_other_settings_does_not() {
    let tree = board();
    let _poker = Poker::start(&tree);
    let (out, progress) = (tree.path("costs"), tree.path("costs.progress"));
    let words = ["--out", out.to_str().unwrap()];
    let all = [
        &DEADLINE[..],
        &["--json", "--budget", "8", "--precision", "0.2"],
        &words,
    ];
    let mut child = start(&tree, "profile", &all.concat());
    let lines = || std::fs::read_to_string(&progress).map_or(0, |t| t.lines().count());
    wait_for(|| lines() >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = profile(&tree, &["--out", out.to_str().unwrap(), "--seed", "5"]);
    assert_eq!(other.status.code(), Some(2));
    let words = text(&other.stderr);
    assert!(words.contains("seed = 0, this one has 5"), "{words}");
    let report = report(&profile(&tree, &["--out", out.to_str().unwrap()]));
    assert!(report["resumed"].as_u64() >= Some(2), "{report}");
    assert_eq!(report["choice"]["cpu_khz"], BEST_KHZ, "{report}");
    assert!(
        tree.get(&format!("{CPU}/scaling_max_freq"))
            .contains("1984000")
    );
}

#[test]
fn without_a_sensor_there_are_no_figures() {
    let tree = board();
    let done = profile(&tree, &[]);
    assert_eq!(done.status.code(), Some(2));
    let words = text(&done.stderr);
    assert!(words.contains("a profile needs a power sensor"), "{words}");
    assert!(done.stdout.is_empty());
    let run = end(start(&tree, "run", &["--dvfs", "auto", "--frames", "10"]));
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("--dvfs auto needs a power sensor"));
}

/// A run whose plan is found on live frames; where its summary is.
fn auto(tree: &FakeTree, frames: &str) -> (Child, PathBuf) {
    let file = tree.path("summary.json");
    let own = [
        "--dvfs",
        "auto",
        "--budget",
        "8",
        "--source",
        "generator",
        "--fps",
        "20",
        "--sample=false",
        "--drop-policy",
        "block",
        "--frames",
        frames,
        "--summary",
        file.to_str().unwrap(),
    ];
    (start(tree, "run", &[&own[..], &DEADLINE].concat()), file)
}

#[test]
fn a_run_finds_the_clock_of_least_power_on_its_frames_and_loses_none() {
    let tree = board();
    let _poker = Poker::start(&tree);
    let (child, file) = auto(&tree, "300");
    let done = end(child);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let summary = summary(file);
    let auto = summary.dvfs.unwrap().auto.unwrap();
    assert_eq!(summary.frames.results, 300);
    assert_eq!(auto.choice.unwrap().cpu_khz, BEST_KHZ, "{auto:?}");
    assert!(auto.probes <= 8 * (1 + auto.reopened), "{auto:?}");
    assert!(auto.explored_s > 1.0 && auto.explored_j > 1.0, "{auto:?}");
    assert!(text(&done.stderr).contains("follows a plan"));
    assert!(
        tree.get(&format!("{CPU}/scaling_max_freq"))
            .contains("1984000")
    );
}
