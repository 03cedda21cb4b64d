//! Promises with a number, each in its own case on the median of five tries,
//! and what must hold of what ships.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/watchdog.rs"]
mod watchdog;

use e4::telemetry::Summary;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watchdog::with_watchdog;

fn e4(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e4"));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command.stdout(Stdio::piped());
    command
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Starts an endless run and waits for its first `lines` JSON lines; the rest
/// is read away.
fn started(words: &[&str], lines: usize) -> Child {
    let mut child = e4(words).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        assert!(
            reader.read_line(&mut line).unwrap() > 0,
            "the run ended by itself"
        );
    }
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    child
}

fn summary(path: &Path) -> Summary {
    let summary: Summary = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        summary.frames.captured,
        summary.frames.results + summary.dropped()
    );
    summary
}

#[test]
fn an_interrupt_ends_a_run_within_a_second_with_a_correct_summary() {
    with_watchdog(interrupt_five_times);
}

fn interrupt_five_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.json");
    let file_name = file.to_str().unwrap();
    for source in [
        &["--source", "generator"][..],
        &["--loop"],
        &["--loop", "--pace", "realtime"],
    ] {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let words = [&["run", "--json", "--summary", file_name], source].concat();
                let mut child = started(&words, 20);
                let asked = Instant::now();
                signal(&child, Signal::SIGINT);
                let status = child.wait().unwrap();
                let took = asked.elapsed();
                assert_eq!(status.code(), Some(0));
                assert!(summary(&file).frames.results >= 20);
                took
            })
            .collect();
        times.sort();
        println!("{source:?}: {times:?}");
        assert!(
            times[2] < Duration::from_secs(1),
            "{source:?}: median {:?}",
            times[2]
        );
    }
}

#[test]
fn a_killed_run_leaves_nothing_that_stops_the_next_one() {
    with_watchdog(kill_and_run_again);
}

fn kill_and_run_again() {
    for _ in 0..3 {
        let mut child = started(&["run", "--json", "--loop"], 5);
        signal(&child, Signal::SIGKILL);
        child.wait().unwrap();
    }
    let mut child = started(
        &["run", "--json", "--source", "generator", "--frames", "60"],
        1,
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_shipped_clips_leave_the_shipped_network_at_several_depths() {
    with_watchdog(run_what_ships);
}

fn run_what_ships() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.json");
    let mut child = e4(&["run", "--summary", file.to_str().unwrap()])
        .spawn()
        .unwrap();
    let mut table = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut table)
        .unwrap();
    assert!(child.wait().unwrap().success());
    let summary = summary(&file);
    assert!(
        summary.exits.values().filter(|&&n| n > 0).count() >= 3,
        "{:?}",
        summary.exits
    );
    assert_eq!(summary.frames.captured, summary.frames.results);
    let accuracy = summary.accuracy.expect("the shipped clips are labelled");
    assert!(accuracy.clip >= Some(0.85), "{accuracy:?}");
    assert!(table.contains("accuracy"), "{table}");
}
