//! What a user of `e4 doctor` relies on: it says what `e4 run` would do on this
//! host with the same flags, names what is missing and nothing else, and ends
//! with 0 (ready), 1 (not ready) or 2 (bad configuration).
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use support::{rights, watchdog, without};

/// Everything asked for, nothing done without.
const STRICT: &[&str] = &["--rt-class", "fifo", "--on-error", "strict"];

fn doctor(words: &[&str], lost: &[rights::Right]) -> Output {
    let bundle = support::repository("engines/tiny-e2");
    let mut command = without(lost, env!("CARGO_BIN_EXE_e4"));
    command.arg("doctor").args(words);
    if !words.contains(&"--bundle") {
        command.arg("--bundle").arg(bundle);
    }
    watchdog::finished(move || command.output().unwrap())
}

fn states(output: &Output) -> BTreeMap<String, String> {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["schema"], "e4.doctor/1");
    assert_eq!(json["ready"], output.status.code() == Some(0));
    let checks = json["checks"].as_array().unwrap().iter();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    checks
        .map(|check| (text(check, "id"), text(check, "state")))
        .collect()
}

fn changed(before: &Output, after: &Output) -> Vec<(String, String)> {
    let before = states(before);
    let after = states(after).into_iter();
    after
        .filter(|(id, state)| before.get(id) != Some(state))
        .collect()
}

fn fails(id: &str) -> Vec<(String, String)> {
    vec![(id.to_owned(), "fail".to_owned())]
}

#[test]
fn a_plain_configuration_is_ready_anywhere() {
    let output = doctor(&[], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.ends_with("\nready\n"), "{text}");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_configuration_that_no_host_could_run_is_bad_input() {
    for words in [
        &["--slots", "1"][..],
        &["--no-such-flag"],
        &["--config", "/no/such/file.toml"],
        &[
            "--threads",
            "capture+infer,gate,sink",
            "--infer-core",
            "0",
            "--capture-core",
            "1",
        ],
    ] {
        let output = doctor(words, &[]);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_core_a_clip_and_a_bundle_that_are_not_there_are_named_alone() {
    let before = doctor(&["--json"], &[]);
    let broken = tempfile::tempdir().unwrap();
    for file in fs::read_dir(support::repository("engines/tiny-e2")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), broken.path().join(file.file_name())).unwrap();
    }
    fs::write(broken.path().join("CARD.md"), "not the card").unwrap();
    let broken = broken.path().to_str().unwrap();
    for (id, words) in [
        ("cores", &["--json", "--sink-core", "4000"][..]),
        ("clip", &["--json", "--clip", "/no/such/clip.y4m"]),
        ("bundle", &["--json", "--bundle", broken]),
    ] {
        let after = doctor(words, &[]);
        assert_eq!(after.status.code(), Some(1), "{words:?}");
        assert_eq!(changed(&before, &after), fails(id), "{words:?}");
        // And a run ends there.
        let mut run = without(&[], env!("CARGO_BIN_EXE_e4"));
        run.arg("run").args(words);
        if id != "bundle" {
            run.arg("--bundle")
                .arg(support::repository("engines/tiny-e2"));
        }
        let ended = watchdog::finished(move || run.output().unwrap());
        assert_eq!(ended.status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_right_that_is_taken_away_is_named_alone_and_a_run_ends_on_it() {
    let words = [STRICT, &["--json"]].concat();
    let before = doctor(&words, &[]);
    if before.status.code() != Some(0) {
        println!("skipped: this host does not grant real time (run as root)");
        return;
    }
    for (right, id) in [
        (rights::SYS_NICE, "rt-class"),
        (rights::IPC_LOCK, "memlock"),
    ] {
        let after = doctor(&words, &[right]);
        assert_eq!(after.status.code(), Some(1));
        assert_eq!(changed(&before, &after), fails(id));
    }
}

#[test]
fn files_that_a_run_would_end_on_are_named_alone_with_a_command() {
    let before = doctor(&["--json"], &[]);
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("none")).unwrap();
    fs::write(at("text.mp4"), "these are words\n").unwrap();
    fs::write(at("clip.mkv"), "no form that e4 reads by itself").unwrap();
    let (none, text, other) = (at("none"), at("text.mp4"), at("clip.mkv"));
    let (output, summary) = (at("no/such/lines.jsonl"), at("no/such/summary.json"));
    let no_ffmpeg = ["--clip", &other, "--ffmpeg", "/no/such/ffmpeg"];
    for (id, words, fix) in [
        ("clip", &["--clip", &none][..], "ls -la "),
        ("clip", &["--clip", &text], "file "),
        ("clip", &no_ffmpeg, "sudo apt-get install ffmpeg"),
        ("output", &["--output", &output], "mkdir -p "),
        ("summary", &["--summary", &summary], "mkdir -p "),
    ] {
        let after = doctor(&[&["--json"], words].concat(), &[]);
        assert_eq!(after.status.code(), Some(1), "{words:?}");
        assert_eq!(changed(&before, &after), fails(id), "{words:?}");
        let json: Value = serde_json::from_slice(&after.stdout).unwrap();
        let rows = json["checks"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        assert!(row["fix"].as_str().unwrap().starts_with(fix), "{row}");
    }
    assert!(!dir.path().join("no").exists(), "nothing is made");
}

#[test]
fn a_root_that_is_not_there_is_bad_input() {
    let output = doctor(&["--sysfs-root", "/no/such/root"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("--sysfs-root"), "{stderr}");
}
