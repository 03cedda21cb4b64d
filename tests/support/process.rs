//! `e4` as a process: started, ended, looked at.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::telemetry::Summary;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/engines/tiny-e2");

pub fn e4() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e4"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(words: &[&str]) -> Child {
    e4().args(["run", "--bundle", BUNDLE])
        .args(words)
        .spawn()
        .unwrap()
}

/// Waits for the end; a run that hangs is killed and fails the test.
pub fn end(mut child: Child) -> Output {
    let mut streams = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || drain(&mut streams.0));
    let err = std::thread::spawn(move || drain(&mut streams.1));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("e4 hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
    Output {
        status,
        stdout,
        stderr,
    }
}

pub fn interrupt(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}

/// Waits for what a run that hangs never does.
pub fn wait_for(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "e4 hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn drain(stream: &mut Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.read_to_end(&mut bytes).unwrap();
    }
    bytes
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Labelled clips: 4 of 10 frames.
pub struct Clips(pub tempfile::TempDir);

impl Clips {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = e4()
            .args([
                "clips", "--seed", "5", "--count", "4", "--frames", "10", "--size", "32", "--out",
            ])
            .arg(folder.path().join("clips"))
            .spawn()
            .unwrap();
        assert!(end(made).status.success());
        Self(folder)
    }

    pub fn folder(&self) -> String {
        self.at("clips")
    }

    pub fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

pub fn summary(path: impl AsRef<Path>) -> Summary {
    let summary: Summary = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(summary.schema, "e4.summary/1");
    assert_eq!(
        summary.frames.captured,
        summary.frames.results + summary.dropped()
    );
    assert_eq!(summary.exits.values().sum::<u64>(), summary.frames.results);
    summary
}

/// Runs and expects one sentence on standard error that holds `wanted`.
pub fn refused(words: &[&str], wanted: &str) {
    let done = end(run(words));
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{words}");
    assert!(words.contains(wanted), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(done.stdout.is_empty());
}
