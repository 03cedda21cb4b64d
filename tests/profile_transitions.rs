//! `e4 profile --transitions` on a tree that stands in for the kernel's.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tree::{CPU, FakeTree};

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

fn e4(fake: &FakeTree, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e4"));
    command.args(["profile", "--transitions", "--runtime-dir"]);
    command
        .arg(fake.runtime_dir())
        .arg("--sysfs-root")
        .arg(fake.root());
    command.args(words);
    command
}

fn output(fake: &FakeTree, words: &[&str]) -> Output {
    e4(fake, words).output().unwrap()
}

#[test]
fn every_domain_and_direction_has_a_distribution_and_the_clocks_are_given_back() {
    let fake = FakeTree::board();
    let before = fake.files();
    let output = output(&fake, &["--json", "--repeat", "6"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fake.files(), before);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "e4.transitions/1");
    let domains = report["domains"].as_array().unwrap();
    assert_eq!(domains.len(), 3);
    for domain in domains {
        for direction in ["up", "down"] {
            let found = domain["distributions"].as_array().unwrap();
            let read = found
                .iter()
                .find(|d| d["direction"] == direction && d["by"] == "read-back")
                .unwrap();
            assert_eq!(read["n"], 6, "{domain}");
            assert!(read["p50_us"].as_f64() <= read["max_us"].as_f64());
        }
    }
    // No clock of this machine follows a folder of files.
    assert_eq!(domains[0]["speed_follows_clock"], false);
    assert!(
        domains[0]["notes"][0]
            .as_str()
            .unwrap()
            .contains("does not follow the clock")
    );
}

#[test]
fn the_table_says_what_was_measured() {
    let fake = FakeTree::board();
    let output = output(&fake, &["--domain", "gpu", "--repeat", "2"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("gpu ")).count(),
        2,
        "{text}"
    );
}

#[test]
fn an_interrupt_gives_the_clocks_back_that_no_other_e4_got_meanwhile() {
    let fake = FakeTree::board();
    let before = fake.files();
    let mut child = e4(&fake, &["--repeat", "10000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while fake.files() == before && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    child.wait().unwrap();
    assert_eq!(fake.files(), before);
    assert_eq!(std::fs::read_dir(fake.runtime_dir()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let none = FakeTree::empty();
    let output = output(&none, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("no clock domain") && said.contains("cpufreq"),
        "{said}"
    );
    let fake = FakeTree::board();
    let output = self::output(&fake, &["--domain", "npu"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cpu0, gpu, emc"), "{said}");
    let held = fake.runtime_dir();
    std::fs::write(&held, "").unwrap();
    assert_eq!(self::output(&fake, &[]).status.code(), Some(2));
    assert!(fake.path(CPU).exists());
}
