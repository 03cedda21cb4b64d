//! `e4 run` with clocks, on a tree of plain files that stands in for the kernel's.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

mod others;
mod plans;
#[path = "../support/process.rs"]
mod process;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/tree.rs"]
mod tree;

use e4::engine::bundle::Bundle;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use process::{end, run, summary, text, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Output};
use tree::{CPU, EMC, FakeTree, GPU};

/// A plan for the stand-in board and the small bundle: up for the second segment.
fn plan(board: &FakeTree, change: impl Fn(&str) -> String) -> PathBuf {
    let bundle = Bundle::open(process::BUNDLE).unwrap();
    let text = format!(
        r#"
format = "e4.plan/1"
board = "orin-nano"
bundle = "tiny-e2"
bundle_sha256 = "{}"
source = "simulated"
objective = "energy"
deadline_ms = 33.3
[idle]
cpu_khz = 729600
gpu_khz = 306000
[[beliefs]]
exit_share = [0.5, 0.5]
next = [1.0]
segments = [
    {{ cpu_khz = 1113600, gpu_khz = 408000 }},
    {{ cpu_khz = 1984000, gpu_khz = 624750 }},
]
"#,
        bundle.digest()
    );
    let path = board.path("plan.toml");
    std::fs::write(&path, change(&text)).unwrap();
    path
}

struct Board {
    fake: FakeTree,
    before: std::collections::BTreeMap<PathBuf, String>,
    plan: PathBuf,
}

impl Board {
    fn new() -> Self {
        let fake = FakeTree::board();
        let plan = plan(&fake, str::to_owned);
        Self {
            before: fake.files(),
            plan,
            fake,
        }
    }

    fn start(&self, words: &[&str]) -> Child {
        let (root, run_dir) = (self.fake.root(), self.fake.runtime_dir());
        let (summary, plan) = (self.summary_path(), self.plan.clone());
        let mut all = vec!["--source", "generator", "--exit-policy", "always:2"];
        for (flag, path) in [
            ("--sysfs-root", root),
            ("--runtime-dir", &run_dir),
            ("--summary", &summary),
        ] {
            if !words.contains(&flag) {
                all.extend([flag, path.to_str().unwrap()]);
            }
        }
        if words.contains(&"plan") && !words.contains(&"--plan") {
            all.extend(["--plan", plan.to_str().unwrap()]);
        }
        all.extend(words);
        run(&all)
    }

    fn run(&self, words: &[&str]) -> Output {
        end(self.start(words))
    }

    fn summary_path(&self) -> PathBuf {
        self.fake.path("summary.json")
    }

    fn is_as_before(&self) {
        assert_eq!(self.fake.files(), self.before);
        let left = std::fs::read_dir(self.fake.runtime_dir());
        assert!(
            left.is_err() || left.unwrap().next().is_none(),
            "a guard is left"
        );
    }

    /// Waits until the clocks are set.
    fn is_changed(&self) {
        let max = format!("{CPU}/scaling_max_freq");
        wait_for(|| std::fs::read_to_string(self.fake.path(&max)).is_ok_and(|t| t != "1984000\n"));
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_plan_sets_the_clocks_and_gives_them_back() {
    let board = Board::new();
    let done = board.run(&["--dvfs", "plan", "--frames", "40", "--json"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    println!("{dvfs:?}");
    assert_eq!(
        (dvfs.mode.as_str(), dvfs.refused, dvfs.clamped),
        ("plan", 0, 0)
    );
    assert_eq!(dvfs.lost_events, 0);
    assert!(dvfs.staged + dvfs.late > 20, "{dvfs:?}");
    assert!(dvfs.idle > 10, "{dvfs:?}");
    let lines = lines(&done);
    assert!(!lines.is_empty());
    for line in &lines {
        let clocks = &line["clocks"];
        for axis in ["cpu_khz", "gpu_khz"] {
            assert!(clocks["asked"][axis].is_u64(), "{line}");
            assert!(clocks["in_effect"].get(axis).is_some(), "{line}");
        }
        assert!(clocks["asked"].get("emc_khz").is_none(), "{line}");
    }
    board.is_as_before();
}

#[test]
fn observing_writes_nothing_and_shows_the_clocks() {
    let board = Board::new();
    let done = board.run(&["--dvfs", "observe", "--frames", "15", "--json"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    assert_eq!((dvfs.mode.as_str(), dvfs.staged), ("observe", 0));
    let last = lines(&done).pop().unwrap();
    assert_eq!(last["clocks"]["in_effect"]["cpu_khz"], 1_984_000);
    assert_eq!(last["clocks"]["in_effect"]["emc_khz"], 665_600);
    board.is_as_before();
}

#[test]
fn without_clocks_nothing_is_said_of_them() {
    let board = Board::new();
    let done = board.run(&["--frames", "5", "--json"]);
    assert!(lines(&done).iter().all(|line| line.get("clocks").is_none()));
    assert_eq!(summary(board.summary_path()).dvfs, None);
    board.is_as_before();
}

#[test]
fn a_killed_run_is_put_right_by_the_next_start() {
    let board = Board::new();
    let mut child = board.start(&["--dvfs", "plan"]);
    board.is_changed();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(board.fake.files(), board.before);
    let done = board.run(&["--frames", "3"]);
    assert!(
        text(&done.stderr).contains("cpu0"),
        "{}",
        text(&done.stderr)
    );
    board.is_as_before();
}

#[test]
fn a_second_e4_is_refused() {
    let board = Board::new();
    let first = board.start(&["--dvfs", "plan"]);
    board.is_changed();
    let second = board.run(&["--dvfs", "plan", "--frames", "3"]);
    assert_eq!(second.status.code(), Some(1));
    let words = text(&second.stderr);
    assert!(words.contains("held by another e4"), "{words}");
    process::interrupt(&first);
    assert!(end(first).status.success());
    board.is_as_before();
}

#[test]
fn signals_end_a_run_with_its_clocks_given_back() {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGALRM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGABRT,
    ] {
        let board = Board::new();
        let child = board.start(&["--dvfs", "plan"]);
        board.is_changed();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert!(end(child).status.success());
        board.is_as_before();
    }
}

#[test]
fn clocks_that_cannot_be_written_are_counted_and_the_frames_flow() {
    let board = Board::new();
    // Not a file that can be written to, whoever asks.
    let max = board.fake.path(&format!("{GPU}/max_freq"));
    std::fs::remove_file(&max).unwrap();
    std::fs::create_dir(&max).unwrap();
    std::fs::remove_file(board.fake.path(&format!("{GPU}/cur_freq"))).unwrap();
    let done = board.run(&["--dvfs", "plan", "--frames", "30"]);
    let words = text(&done.stderr);
    // It cannot be given back either, so it is not touched.
    assert!(done.status.success(), "{words}");
    assert!(words.contains("max_freq"), "{words}");
    assert_eq!(summary(board.summary_path()).frames.captured, 30);
    let strict = board.run(&["--dvfs", "plan", "--frames", "30", "--on-error", "strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}", text(&strict.stderr));
}

#[test]
fn a_board_without_the_clocks_runs_without_or_not_at_all() {
    let board = Board::new();
    std::fs::remove_dir_all(board.fake.path("sys/class/devfreq")).unwrap();
    let done = board.run(&["--dvfs", "plan", "--frames", "5", "--json"]);
    assert!(done.status.success());
    let words = text(&done.stderr);
    assert!(
        words.contains("/sys/class/devfreq has no device"),
        "{words}"
    );
    let last = lines(&done).pop().unwrap();
    assert!(last["clocks"]["asked"].get("gpu_khz").is_none());
    let strict = board.run(&["--dvfs", "plan", "--frames", "5", "--on-error", "strict"]);
    assert_eq!(strict.status.code(), Some(1));
    std::fs::remove_dir_all(board.fake.path("sys/devices")).unwrap();
    let none = board.run(&["--dvfs", "observe", "--frames", "5"]);
    let words = text(&none.stderr).to_owned();
    assert_eq!(
        summary(board.summary_path()).dvfs.is_some(),
        words.is_empty()
    );
    assert!(none.status.success(), "{words}");
}

#[test]
fn a_runtime_directory_that_cannot_be_used_leaves_the_clocks_alone() {
    let board = Board::new();
    std::fs::write(board.fake.runtime_dir(), "in the way").unwrap();
    let done = board.run(&["--dvfs", "plan", "--frames", "5"]);
    let words = text(&done.stderr);
    assert!(
        done.status.success() && words.contains("--runtime-dir"),
        "{words}"
    );
    assert_eq!(board.fake.files(), board.before);
    let strict = board.run(&["--dvfs", "plan", "--frames", "5", "--on-error", "strict"]);
    assert_eq!(strict.status.code(), Some(1));
}
