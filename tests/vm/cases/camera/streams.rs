//! Frames through the whole pipeline, held against the kernel's own trace.

use super::watch::within_two_seconds;
use crate::case::{Case, Outcome};
use crate::guest::camera::{DEVICE, DRIVER, Vivid};
use crate::guest::process::e4;
use crate::guest::trace::{Trace, field};
use crate::guest::{bind, unbind, until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("camera_outlives_unplugging", outlives_its_camera),
    Case::new("camera_640x480_yuyv", || run("yuyv", (640, 480), &[])),
    Case::new("camera_1280x720_yuyv", || run("yuyv", (1280, 720), &[])),
    Case::new("camera_640x480_nv12", || run("nv12", (640, 480), &[])),
    Case::new("camera_1280x720_nv12", || run("nv12", (1280, 720), &[])),
    Case::new("camera_640x480_nv12m", || {
        run("nv12m", (640, 480), &["multiplanar=2"])
    }),
    Case::new("camera_1280x720_nv12m", || {
        run("nv12m", (1280, 720), &["multiplanar=2"])
    }),
];

/// Longest wait for anything, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);
const FRAMES: u64 = 200;
const SUMMARY: &str = "/tmp/summary.json";
const LINES: &str = "/tmp/lines.json";

fn run(format: &str, (width, height): (u32, u32), parameters: &[&str]) -> Outcome {
    let vivid = Vivid::load(parameters)?;
    vivid.set("percentage_of_dropped_buffers", 10)?;
    let trace = Trace::start("v4l2/v4l2_dqbuf", 2048)?;
    let mut child = start(&vivid, format, (width, height), "block")?;
    inject_errors(&vivid, &trace, &mut child)?;
    let (summary, lines, _) = end(child)?;
    let events = trace.events()?;
    drop(trace);
    check(&events, &summary, &lines)
}

/// Waits for the end of a run: its summary, its lines, and what it said.
fn end(child: Child) -> Result<(Value, Vec<Value>, String)> {
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.success(), "e4 run: {}: {said}", ended.status);
    let lines = crate::guest::read(LINES)?;
    let lines: serde_json::Result<_> = lines.lines().map(serde_json::from_str).collect();
    Ok((
        serde_json::from_str(&crate::guest::read(SUMMARY)?)?,
        lines?,
        said,
    ))
}

/// A run outlives its camera: it says so once, goes on when the camera is back
/// (within two seconds, the median of five), and accounts for every frame.
fn outlives_its_camera() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut child = start(&vivid, "yuyv", (640, 480), "newest")?;
    let written = || std::fs::metadata(LINES).map_or(0, |file| file.len());
    let mut times = Vec::new();
    for _ in 0..5 {
        let before = written();
        until("results", PATIENCE, || written() > before)?;
        unbind(DRIVER, DEVICE)?;
        sleep(Duration::from_millis(300));
        let before = written();
        bind(DRIVER, DEVICE)?;
        times.push(until("results", PATIENCE, || written() > before)?);
        ensure!(child.try_wait()?.is_none(), "the run ended with its camera");
    }
    let (summary, lines, said) = end(child)?;
    let counted = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    println!("{}", said.trim());
    ensure!(counted("stream is lost") == 5, "each loss is said once");
    ensure!(counted("streams again") == 5, "each return is said once");
    let (captured, results, dropped) = frames(&summary)?;
    ensure!(
        captured == FRAMES && captured == results + dropped,
        "{captured} captured"
    );
    ensure!(lines.len() as u64 == results, "{} lines", lines.len());
    ensure!(
        gap(&summary, "interruption") == 5,
        "{:?}",
        summary["source_gaps"]
    );
    within_two_seconds("an unplugged camera, through the whole pipeline", times)
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn gap(summary: &Value, kind: &str) -> u64 {
    count(&summary["source_gaps"][kind])
}

/// Frames captured, those with a result, and those dropped.
fn frames(summary: &Value) -> Result<(u64, u64, u64)> {
    let frames = &summary["frames"];
    let dropped = frames["dropped"].as_object().context("no drops")?;
    Ok((
        count(&frames["captured"]),
        count(&frames["results"]),
        dropped.values().map(count).sum(),
    ))
}

fn start(vivid: &Vivid, format: &str, (width, height): (u32, u32), policy: &str) -> Result<Child> {
    let node = vivid.node.to_string_lossy();
    let child = e4(&["run", "--source", "camera", "--device", &node])
        .args(["--camera-formats", format, "--camera-fps", "60"])
        .args(["--camera-width", &width.to_string()])
        .args(["--camera-height", &height.to_string()])
        .args(["--bundle", "/engines/tiny-e2", "--sample=false"])
        .args(["--status", "never", "--drop-policy", policy])
        .args(["--frames", &FRAMES.to_string()])
        .args(["--summary", SUMMARY, "--output", LINES])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Ok(child?)
}

/// Marks some buffers as corrupt while the run lasts.
fn inject_errors(vivid: &Vivid, trace: &Trace, child: &mut Child) -> Result<()> {
    let mut pressed = 0;
    while child.try_wait()?.is_none() && pressed < 3 {
        if trace.events()?.len() > 20 * (pressed + 1) {
            vivid.set("inject_v4l2_buf_flag_error", 1)?;
            pressed += 1;
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What the kernel says that it gave us.
#[derive(Debug, Default)]
struct Traced {
    lost: u64,
    back: u64,
    errors: u64,
    /// (number, timestamp) of the good ones.
    good: Vec<(u32, u64)>,
}

fn traced(events: &[String]) -> Result<Traced> {
    let mut traced = Traced::default();
    let mut last: Option<u32> = None;
    for event in events {
        let number = |key: &str| field(event, key).with_context(|| format!("{key} in {event}"));
        let sequence: u32 = number("sequence")?.parse()?;
        match last.map(|last| sequence.wrapping_sub(last)) {
            None | Some(1) => {}
            Some(step @ 2..=0x7fff_ffff) => traced.lost += u64::from(step - 1),
            Some(_) => traced.back += 1,
        }
        last = Some(sequence);
        if number("flags")?
            .split('|')
            .any(|flag| flag.trim() == "ERROR")
        {
            traced.errors += 1;
        } else {
            traced.good.push((sequence, number("timestamp")?.parse()?));
        }
    }
    Ok(traced)
}

fn check(events: &[String], summary: &Value, lines: &[Value]) -> Outcome {
    let traced = traced(events)?;
    let (captured, results, dropped) = frames(summary)?;
    let gap = |kind: &str| gap(summary, kind);
    println!(
        "{captured} captured, {results} results, {dropped} dropped; kernel: {} dequeued, {} lost, {} back, {} corrupt",
        events.len(),
        traced.lost,
        traced.back,
        traced.errors
    );
    ensure!(captured == FRAMES, "{captured} captured");
    ensure!(
        captured == results + dropped,
        "a frame is not accounted for"
    );
    ensure!(results == FRAMES, "{results} went through the network");
    ensure!(lines.len() as u64 == results, "{} lines", lines.len());
    let good = traced.good.len() as u64;
    ensure!(good == captured, "the kernel gave {good} good frames");
    ensure!(gap("sequence") == traced.lost, "{} lost", gap("sequence"));
    ensure!(
        gap("sequence_back") == traced.back,
        "{} back",
        gap("sequence_back")
    );
    ensure!(gap("error") == traced.errors, "{} corrupt", gap("error"));
    ensure!(gap("short") == 0, "{} short", gap("short"));
    ensure!(traced.lost > 0, "the driver was to lose frames");
    ensure!(
        traced.errors > 0,
        "the driver was to mark frames as corrupt"
    );
    for line in lines {
        let frame = usize::try_from(count(&line["frame"]))?;
        let (_, timestamp) = traced.good.get(frame).context("a frame too many")?;
        let ours = count(&line["timestamp_ns"]);
        // The kernel hands microseconds to programs and nanoseconds to the trace.
        ensure!(
            ours / 1000 == timestamp / 1000,
            "frame {frame}: {ours}, kernel {timestamp}"
        );
    }
    Ok(())
}
