//! `e4 run` for a long time: memory and descriptors stay what they were.

use crate::case::{Case, Outcome, Tier};
use crate::guest::camera::Vivid;
use crate::guest::process::e4;
use crate::guest::{read, until};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    Case::new("camera_streams_a_minute", || {
        streams(Duration::from_secs(60))
    })
    .limit_s(150),
    Case::new("camera_soak", || streams(Duration::from_secs(600)))
        .limit_s(800)
        .tier(Tier::Soak),
];

const LINES: &str = "/tmp/lines.json";
const SUMMARY: &str = "/tmp/summary.json";

/// What the process has: memory in KiB, descriptors, mapped buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Holds {
    resident_kib: u64,
    files: usize,
    buffers: usize,
}

fn holds(child: &Child) -> Result<Holds> {
    let of = |file: &str| format!("/proc/{}/{file}", child.id());
    let status = read(of("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(Holds {
        resident_kib: text.parse()?,
        files: fs::read_dir(of("fd"))?.count(),
        buffers: read(of("maps"))?
            .lines()
            .filter(|line| line.contains("/dev/video"))
            .count(),
    })
}

/// Through the whole pipeline; the driver loses frames, and its stamps wrap.
fn streams(time: Duration) -> Outcome {
    let vivid = Vivid::load(&[])?;
    // The driver's stamps begin 16 s before the end of 63 bits.
    vivid.set("wrap_timestamp", 1)?;
    vivid.set("percentage_of_dropped_buffers", 5)?;
    let mut child = start(&vivid)?;
    let (first, most) = watch(&mut child, time)?;
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{}: {said}", done.status);
    let summary: Value = serde_json::from_str(&read(SUMMARY)?)?;
    println!(
        "{first:?}, at most {most} KiB; {} captured, gaps {}",
        summary["frames"]["captured"], summary["source_gaps"]
    );
    ensure!(
        most <= first.resident_kib + 512,
        "memory grows from {} to {most} KiB",
        first.resident_kib
    );
    check(&summary)
}

fn start(vivid: &Vivid) -> Result<Child> {
    let node = vivid.node.to_string_lossy();
    let child = e4(&["run", "--source", "camera", "--device", &node])
        .args(["--camera-formats", "yuyv", "--camera-fps", "60"])
        .args(["--bundle", "/engines/tiny-e2", "--sample=false"])
        .args(["--summary", SUMMARY, "--output", LINES])
        .args(["--status", "never"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Ok(child?)
}

/// What the run holds once it is under way, and the most memory that it takes.
fn watch(child: &mut Child, time: Duration) -> Result<(Holds, u64)> {
    let results = || fs::metadata(LINES).map_or(0, |file| file.len());
    until("results", Duration::from_secs(60), || results() > 20_000)?;
    let (first, began) = (holds(child)?, Instant::now());
    let mut most = first.resident_kib;
    while began.elapsed() < time {
        sleep(Duration::from_millis(500));
        ensure!(child.try_wait()?.is_none(), "the run has ended");
        let now = holds(child)?;
        most = most.max(now.resident_kib);
        let same = (now.files, now.buffers) == (first.files, first.buffers);
        ensure!(same, "{first:?} became {now:?}");
    }
    Ok((first, most))
}

fn check(summary: &Value) -> Outcome {
    let gap = |kind: &str| summary["source_gaps"][kind].as_u64().unwrap_or(0);
    let jumps = gap("timestamp_jump");
    ensure!(jumps >= 2, "the stamps wrapped: {jumps} jumps");
    ensure!(gap("interruption") == 0, "the stream broke");
    let mut last = 0;
    for line in read(LINES)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let time = line["timestamp_ns"].as_u64().context("no time")?;
        ensure!(time > last, "the time of a frame went back");
        last = time;
    }
    Ok(())
}
