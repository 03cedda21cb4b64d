//! Finding the clock point of least energy, before a run and in its course, where the
//! power that the sensor shows is U-shaped over the clock.

mod listen;
mod poker;

use super::clocks::{POLICY, cpu_clocks};
use super::guard::{files, given_up, load_thermal};
use crate::case::{Case, Outcome, Tier};
use crate::guest::{process, read, registers, until};
use anyhow::{Context, Result, ensure};
use listen::Listener;
use poker::Poker;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    Case::new("profile_finds_the_point_after_a_kill", killed).limit_s(120),
    Case::new("profile_auto_finds_the_point_and_keeps_a_cap", auto_capped).limit_s(180),
    Case::new("profile_without_a_sensor_is_an_error", no_sensor),
    Case::new("profile_finds_the_point_in_9_of_10", ten_profiles)
        .limit_s(600)
        .tier(Tier::Soak),
    Case::new("profile_auto_finds_the_point_in_9_of_10", ten_runs)
        .limit_s(900)
        .tier(Tier::Soak),
    Case::new("profile_auto_replans_within_2_s", five_throttles)
        .limit_s(300)
        .tier(Tier::Soak),
];

const MINUTE: Duration = Duration::from_secs(60);
const BUDGET: &str = "10";
/// So long that the wait for the next frame outweighs the work: how fast the emulator
/// is from one moment to the next is of no matter then, the sensor's power alone is.
const DEADLINE_MS: &str = "20000";
const TABLE: &str = "/tmp/costs";
const SUMMARY: &str = "/tmp/summary.json";
const SENSOR: [&str; 4] = ["--power-sensor", "ina3221", "--power-rails", "in1"];
const BUNDLE: [&str; 2] = ["--bundle", "/engines/tiny-e2"];

fn profile(more: &[&str]) -> Command {
    let own = [
        "profile",
        "--json",
        "--precision",
        "0.1",
        "--budget",
        BUDGET,
        "--deadline-ms",
        DEADLINE_MS,
    ];
    process::e4(&[&own[..], &BUNDLE, &SENSOR, more].concat())
}

/// The clock that was chosen, in kHz; no opening has spent more than its budget.
fn chosen(report: &Value) -> Result<u64> {
    let choice = &report["choice"]["cpu_khz"];
    let openings = 1 + report["reopened"].as_u64().unwrap_or(0);
    let most = BUDGET.parse::<u64>()? * openings;
    println!("{choice} kHz with {} probes", report["probes"]);
    ensure!(report["probes"].as_u64() <= Some(most), "{report}");
    choice.as_u64().with_context(|| report.to_string())
}

fn measured() -> Result<u64> {
    chosen(&serde_json::from_str(&process::output(&mut profile(&[]))?)?)
}

fn lines(path: &Path) -> usize {
    read(path).map_or(0, |text| text.lines().count())
}

/// Killed in the middle, a profile goes on where it was and finds the point; the clocks
/// are given back.
fn killed() -> Outcome {
    let table = cpu_clocks()?;
    let before = files();
    let poker = Poker::start(&table)?;
    let progress = PathBuf::from(format!("{TABLE}.progress"));
    let mut child = profile(&["--out", TABLE]).spawn()?;
    until("two points", MINUTE, || lines(&progress) >= 3)?;
    child.kill()?;
    child.wait()?;
    ensure!(!Path::new(TABLE).exists(), "a table of half a profile");
    let report: Value = serde_json::from_str(&process::output(&mut profile(&["--out", TABLE]))?)?;
    ensure!(report["resumed"].as_u64() >= Some(2), "{report}");
    ensure!(chosen(&report)? == poker.best(), "{report}");
    ensure!(!progress.exists(), "the progress is left");
    ensure!(read(TABLE)?.contains("e4.cost-table/1"), "no table");
    given_up()?;
    ensure!(files() == before, "{before:?} became {:?}", files());
    poker.end()
}

fn no_sensor() -> Outcome {
    cpu_clocks()?;
    let done = process::e4(&[&["profile"][..], &BUNDLE].concat()).output()?;
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.code() == Some(2), "{}: {words}", done.status);
    ensure!(words.contains("a profile needs a power sensor"), "{words}");
    ensure!(done.stdout.is_empty(), "figures without a sensor");
    Ok(())
}

/// A run in which the plan is found.
fn run(frames: &str) -> Command {
    let own = [
        "run",
        "--source",
        "generator",
        "--fps",
        "10",
        "--sample=false",
        "--drop-policy",
        "block",
        "--dvfs",
        "auto",
        "--budget",
        BUDGET,
        "--deadline-ms",
        DEADLINE_MS,
        "--summary",
        SUMMARY,
        "--frames",
        frames,
    ];
    process::e4(&[&own[..], &BUNDLE, &SENSOR].concat())
}

/// Every frame is a result, but for those that an interrupt caught on their way; what
/// exploring took.
fn explored() -> Result<Value> {
    let summary: Value = serde_json::from_str(&read(SUMMARY)?)?;
    let frames = &summary["frames"];
    println!("{} {}", frames, summary["dvfs"]["auto"]);
    let ended = [&frames["results"], &frames["dropped"]["shutdown"]];
    let ended: Option<u64> = ended.into_iter().map(Value::as_u64).sum();
    ensure!(
        ended.is_some() && frames["captured"].as_u64() == ended,
        "frames are lost: {frames}"
    );
    Ok(summary["dvfs"]["auto"].clone())
}

/// The state of the CPU's cooling device.
fn cooling() -> Result<PathBuf> {
    let is_cpu = |path: &PathBuf| {
        let kind = read(path.join("type")).unwrap_or_default();
        kind.starts_with("Processor") || kind.contains("cpufreq")
    };
    let all = std::fs::read_dir("/sys/class/thermal")?.flatten();
    let mut all: Vec<PathBuf> = all.map(|entry| entry.path()).filter(is_cpu).collect();
    all.sort();
    all.into_iter()
        .next()
        .context("the CPU has no cooling device")
}

/// Heat caps the clocks of a run that follows a plan, then they cool down; how long it
/// took until the plan was made anew within the cap.
fn throttle(listener: &mut Listener) -> Result<Duration> {
    let state = cooling()?.join("cur_state");
    let mut took = Duration::ZERO;
    let turns = [
        (80, true, "hold the clocks down"),
        (40, false, "allow up to"),
    ];
    for (celsius, hot, words) in turns {
        registers::set_temperature(celsius)?;
        until("a change of the cap", MINUTE, || {
            read(&state).is_ok_and(|state| (state != "0") == hot)
        })?;
        let since = Instant::now();
        listener.wait_for(words, MINUTE)?;
        if hot {
            took = since.elapsed();
        }
        println!("hot: {hot}, replanned after {:.2?}", since.elapsed());
    }
    Ok(took)
}

/// The point is found on live frames; then the clocks are throttled `tries` times. The
/// times until there was a plan within the cap, and what exploring took.
fn found_and_throttled(tries: usize) -> Result<(Vec<Duration>, Value)> {
    let table = cpu_clocks()?;
    load_thermal()?;
    let before = files();
    let poker = Poker::start(&table)?;
    let mut listener = Listener::start(&mut run("6000"))?;
    listener.wait_for("follows a plan", MINUTE)?;
    let took: Result<Vec<_>> = (0..tries).map(|_| throttle(&mut listener)).collect();
    listener.end()?;
    let auto = explored()?;
    ensure!(chosen(&auto)? == poker.best(), "{auto}");
    ensure!(auto["replanned"].as_u64() >= Some(2), "{auto}");
    given_up()?;
    until("full speed after cooling", MINUTE, || files() == before)?;
    poker.end()?;
    Ok((took?, auto))
}

fn auto_capped() -> Outcome {
    found_and_throttled(1).map(drop)
}

fn five_throttles() -> Outcome {
    let (mut took, _) = found_and_throttled(5)?;
    took.sort_unstable();
    println!("replanned after {took:.2?}");
    ensure!(took[2] < Duration::from_secs(2), "{took:?}");
    Ok(())
}

fn nine_of_ten(mut find: impl FnMut() -> Result<u64>) -> Outcome {
    let table = cpu_clocks()?;
    let poker = Poker::start(&table)?;
    let mut right = 0;
    for _ in 0..10 {
        right += usize::from(find()? == poker.best());
    }
    println!("{right} of 10 right");
    ensure!(right >= 9, "{right} of 10");
    poker.end()
}

fn ten_profiles() -> Outcome {
    nine_of_ten(measured)
}

fn ten_runs() -> Outcome {
    nine_of_ten(|| {
        process::output(&mut run("150"))?;
        let auto = explored()?;
        ensure!(auto["state"] == "following", "{auto}");
        chosen(&auto)
    })
}
