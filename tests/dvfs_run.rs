//! `e4 run` with clocks, on a tree of plain files that stands in for the kernel's.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/process.rs"]
mod process;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
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
fn plans_for_something_else_are_refused_by_name() {
    let board = Board::new();
    type Change<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(Change, &str); 4] = [
        (
            &|t| t.replace("bundle_sha256 = \"", "bundle_sha256 = \"0"),
            "digest",
        ),
        (
            &|t| t.replace("1984000", "1984001"),
            "cpu_khz = 1984001 is no clock of this board",
        ),
        (&|t| t.replace("e4.plan/1", "e4.plan/9"), "e4.plan/9"),
        (&|_| "?".into(), "line 1"),
    ];
    for (change, wanted) in cases {
        plan(&board.fake, change);
        let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}");
        assert!(
            words.contains(wanted) && words.contains("--plan"),
            "{words}"
        );
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    process::refused(&["--dvfs", "plan"], "--plan FILE");
    process::refused(&["--plan", "x"], "--dvfs plan");
    process::refused(&["--dvfs", "planned"], "off, observe, plan");
    board.is_as_before();
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

/// Writes as another process does: once, into the file that is there.
fn write_once(board: &Board, file: &str, text: &str) {
    std::fs::write(board.fake.path(&format!("{CPU}/{file}")), text).unwrap();
}

fn asked(lines: &[Value]) -> Vec<u64> {
    let asked = lines
        .iter()
        .map(|l| l["clocks"]["asked"]["cpu_khz"].as_u64());
    asked.map(|khz| khz.unwrap_or(0)).collect()
}

#[test]
fn another_process_that_caps_a_clock_is_counted_and_obeyed() {
    // Once between the writes, at moments that fall anywhere in a frame.
    for moment in 0..4 {
        let board = Board::new();
        let child = board.start(&["--dvfs", "plan", "--frames", "60", "--json"]);
        board.is_changed();
        assert!(board.fake.path(&format!("{EMC}/rate")).exists());
        std::thread::sleep(std::time::Duration::from_millis(300 + 17 * moment));
        write_once(&board, "scaling_max_freq", "1510400\n");
        let done = end(child);
        let words = text(&done.stderr).to_owned();
        assert!(done.status.success(), "{words}");
        let dvfs = summary(board.summary_path()).dvfs.unwrap();
        assert!(dvfs.clamped >= 1, "{dvfs:?} {words}");
        assert!(words.contains("held down by another process"), "{words}");
        let lines = lines(&done);
        let last = asked(&lines[lines.len() - 3..]);
        assert!(last.iter().all(|&khz| khz <= 1_510_400), "{last:?}");
        // It is theirs now.
        assert_eq!(
            board.fake.get(&format!("{CPU}/scaling_max_freq")),
            "1510400\n"
        );
        assert_eq!(
            board.fake.get(&format!("{CPU}/scaling_min_freq")),
            "729600\n"
        );
        assert!(words.contains("scaling_max_freq holds 1510400"), "{words}");
    }
}

#[test]
fn another_process_that_holds_a_clock_up_is_counted_and_obeyed() {
    let board = Board::new();
    let child = board.start(&["--dvfs", "plan", "--frames", "60", "--json"]);
    board.is_changed();
    std::thread::sleep(std::time::Duration::from_millis(400));
    write_once(&board, "scaling_min_freq", "1510400\n");
    let done = end(child);
    let words = text(&done.stderr).to_owned();
    assert!(done.status.success(), "{words}");
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    assert!(dvfs.clamped >= 1, "{dvfs:?} {words}");
    assert_eq!(
        board.fake.get(&format!("{CPU}/scaling_min_freq")),
        "1510400\n"
    );
    assert!(words.contains("scaling_min_freq holds 1510400"), "{words}");
}

#[test]
fn a_cap_that_holds_from_the_start_is_counted_and_said_once() {
    let board = Board::new();
    write_once(&board, "scaling_max_freq", "1113600\n");
    let done = board.run(&["--dvfs", "plan", "--frames", "30"]);
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    let words = text(&done.stderr);
    assert_eq!(dvfs.clamped, 1, "{dvfs:?} {words}");
    assert_eq!(words.matches("held down by").count(), 1, "{words}");
    let max = format!("{CPU}/scaling_max_freq");
    assert_eq!(board.fake.get(&max), "1113600\n");
}

#[test]
fn a_clock_that_is_not_the_one_asked_for_is_not_in_effect() {
    let board = Board::new();
    let cur = board.fake.path(&format!("{CPU}/cpuinfo_cur_freq"));
    std::fs::remove_file(&cur).unwrap();
    std::fs::write(&cur, "1800000\n").unwrap();
    let done = board.run(&["--dvfs", "plan", "--frames", "20", "--json"]);
    for line in lines(&done) {
        assert!(line["clocks"]["in_effect"]["cpu_khz"].is_null(), "{line}");
    }
    let seen = board.run(&["--dvfs", "observe", "--frames", "8", "--json"]);
    let last = lines(&seen).pop().unwrap();
    assert_eq!(last["clocks"]["in_effect"]["cpu_khz"], 1_800_000);
}

#[test]
fn one_broken_file_costs_one_domain() {
    let board = Board::new();
    write_once(&board, "scaling_max_freq", "garbage\n");
    let words = ["--dvfs", "plan", "--frames", "20", "--json"];
    let done = board.run(&words);
    let said = text(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("scaling_max_freq holds no number"), "{said}");
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    assert_eq!(dvfs.refused, 1, "{dvfs:?}");
    let last = lines(&done).pop().unwrap();
    assert!(last["clocks"]["asked"]["gpu_khz"].is_u64(), "{last}");
    assert!(last["clocks"]["asked"].get("cpu_khz").is_none(), "{last}");
    let max = format!("{CPU}/scaling_max_freq");
    assert_eq!(board.fake.get(&max), "garbage\n");
    assert_eq!(
        std::fs::read_dir(board.fake.runtime_dir()).unwrap().count(),
        0
    );
    let strict = board.run(&[&words[..], &["--on-error", "strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(text(&strict.stderr).contains("scaling_max_freq"));
}

#[test]
fn a_second_e4_with_another_runtime_directory_is_refused() {
    let board = Board::new();
    let first = board.start(&["--dvfs", "plan"]);
    board.is_changed();
    let other = board.fake.path("other-run");
    let other = other.to_str().unwrap();
    let second = board.run(&["--dvfs", "plan", "--frames", "3", "--runtime-dir", other]);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stderr));
    let words = text(&second.stderr);
    assert!(words.contains("held by another e4"), "{words}");
    assert_eq!(std::fs::read_dir(other).unwrap().count(), 0);
    process::interrupt(&first);
    assert!(end(first).status.success());
    board.is_as_before();
}

#[test]
fn a_plan_for_another_board_is_refused_by_the_run_and_by_the_doctor() {
    let board = Board::new();
    let wrong = ["--dvfs", "plan", "--frames", "3", "--board", "agx-orin"];
    let done = board.run(&wrong);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{words}");
    assert!(words.contains("for the board orin-nano"), "{words}");
    let (root, plan_file) = (board.fake.root().to_str().unwrap(), &board.plan);
    let mut doctor = process::e4();
    doctor.args(["doctor", "--bundle", process::BUNDLE, "--json"]);
    doctor.args(["--sysfs-root", root, "--dvfs", "plan"]);
    doctor
        .args(["--board", "agx-orin", "--plan"])
        .arg(plan_file);
    let said = end(doctor.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let rows = report["checks"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == "plan").unwrap();
    assert_eq!(row["state"], "fail", "{row}");
    assert!(row["fix"].as_str().unwrap().contains("e4 plan"), "{row}");
    board.fake.put(
        "proc/device-tree/compatible",
        "nvidia,p3737-0000+p3701-0005\0",
    );
    let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{words}");
    let right = board.run(&["--dvfs", "plan", "--frames", "3", "--board", "orin-nano"]);
    assert!(right.status.success(), "{}", text(&right.stderr));
    plan(&board.fake, |t| t.replace("\"orin-nano\"", "\"\""));
    let empty = board.run(&["--dvfs", "plan", "--frames", "3"]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(text(&empty.stderr).contains("board is empty"));
}

#[test]
fn a_digest_in_capitals_is_the_same_digest() {
    let board = Board::new();
    plan(&board.fake, |t| {
        let (head, rest) = t.split_once("sha256 = \"").unwrap();
        let (digest, rest) = rest.split_once('"').unwrap();
        format!("{head}sha256 = \"{}\"{rest}", digest.to_uppercase())
    });
    let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
fn inputs_that_are_no_files_are_refused_at_once() {
    let board = Board::new();
    let fifo = board.fake.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.to_str().unwrap();
    for flag in ["--plan", "--transitions"] {
        let done = board.run(&["--dvfs", "plan", flag, fifo]);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}");
        assert!(
            words.contains(flag) && words.contains("no regular file"),
            "{words}"
        );
    }
}

#[test]
fn transitions_that_cannot_be_are_refused() {
    let board = Board::new();
    let path = board.fake.path("transitions.json");
    let entry = |direction: &str, p50: &str, more: &str| {
        format!(
            r#"{{"schema":"e4.transitions/1","domains":[{{"domain":"cpu0","kind":"cpu","distributions":[
            {{"direction":"{direction}","by":"read-back","p50_us":{p50},"p90_us":9.0{more}}}]}}]}}"#
        )
    };
    for (text_in, wanted) in [
        (entry("sideways", "5.0", ""), "sideways"),
        (entry("up", "-5.0", ""), "-5"),
        (entry("up", "1e300", ""), "no times"),
        (entry("up", "5.0", ",\"colour\":1"), "colour"),
    ] {
        std::fs::write(&path, text_in).unwrap();
        let transitions = ["--transitions", path.to_str().unwrap()];
        let words = [&["--dvfs", "plan", "--frames", "3"][..], &transitions].concat();
        let done = board.run(&words);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(
            said.contains(wanted) && said.contains("--transitions"),
            "{said}"
        );
    }
}
