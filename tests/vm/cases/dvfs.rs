//! `e4 run` with a plan on the kernel's drivers: counters right, frames flowing,
//! clocks given back.

use super::clocks::POLICY;
use super::guard::{files, given_up, kinds, load_drivers, load_thermal};
use crate::case::{Case, Outcome as Verdict};
use crate::guest::{load, process, read, registers, until, write};
use anyhow::{Context, Result, ensure};
use e4::clocks::{DomainKind, Tree, discover};
use e4::engine::bundle::Bundle;
use serde_json::Value;
use std::process::Child;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("dvfs_plan_is_executed", executed).limit_s(120),
    Case::new("dvfs_clamped_by_scaling_max", clamped).limit_s(120),
    Case::new("dvfs_throttled_in_mid_run", throttled).limit_s(120),
    Case::new("dvfs_governor_taken_away", governor).limit_s(120),
    Case::new("dvfs_node_that_vanishes", vanishes).limit_s(120),
    Case::new("dvfs_unprivileged", unprivileged).limit_s(120),
    Case::new("dvfs_killed_is_restored", killed).limit_s(120),
];

const MINUTE: Duration = Duration::from_secs(60);
const PLAN: &str = "/tmp/plan.toml";
const SUMMARY: &str = "/tmp/summary.json";
const BUNDLE: &str = "/engines/tiny-e2";

/// Writes a plan over this machine's clocks: the first segment at the middle of
/// each table, the second at its highest, idle at its lowest.
fn plan() -> Result<()> {
    let found = discover(&Tree::default());
    let point = |at: fn(usize) -> usize| -> Result<String> {
        let mut axes = Vec::new();
        for kind in kinds() {
            let key = match kind {
                DomainKind::Cpu => "cpu_khz",
                DomainKind::Gpu => "gpu_khz",
                DomainKind::Emc => "emc_khz",
            };
            let opps = found.find_kind(*kind).context("no such domain")?.opps();
            let opps: Vec<_> = opps.iter().collect();
            axes.push(format!("{key} = {}", opps[at(opps.len())].khz().0));
        }
        Ok(axes.join(", "))
    };
    let (low, middle, high) = (point(|_| 0)?, point(|n| n / 2)?, point(|n| n - 1)?);
    let idle = low.replace(", ", "\n");
    let digest = Bundle::open(BUNDLE)?.digest().to_owned();
    write(
        PLAN,
        &format!(
            "format = \"e4.plan/1\"\nboard = \"vm\"\nbundle = \"tiny-e2\"\n\
             bundle_sha256 = \"{digest}\"\nsource = \"simulated\"\nobjective = \"energy\"\n\
             deadline_ms = 100\n[idle]\n{idle}\n[[beliefs]]\nexit_share = [0.5, 0.5]\n\
             next = [1.0]\nsegments = [{{ {middle} }}, {{ {high} }}]\n"
        ),
    )
}

fn start(frames: &str) -> Result<Child> {
    load_drivers()?;
    plan()?;
    let mut command = process::e4(&[
        "run",
        "--source",
        "generator",
        "--fps",
        "10",
        "--sample=false",
        "--bundle",
        BUNDLE,
        "--exit-policy",
        "always:2",
        "--dvfs",
        "plan",
        "--plan",
        PLAN,
        "--summary",
        SUMMARY,
        "--output",
        "/tmp/lines.json",
        "--frames",
        frames,
    ]);
    Ok(command.spawn()?)
}

/// Frames accounted for, and the counts of changes.
fn end(mut child: Child) -> Result<Value> {
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    let summary: Value = serde_json::from_str(&read(SUMMARY)?)?;
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let frames = &summary["frames"];
    let dropped = frames["dropped"].as_object().context("no drops")?;
    let dropped: u64 = dropped.values().map(count).sum();
    let (captured, results) = (count(&frames["captured"]), count(&frames["results"]));
    let dvfs = summary["dvfs"].clone();
    println!("{captured} captured, {results} results, {dropped} dropped; {dvfs}");
    ensure!(captured == results + dropped && results > 0, "{frames}");
    let lines = read("/tmp/lines.json")?;
    let last: Value = serde_json::from_str(lines.lines().last().context("no line")?)?;
    println!("{}", last["clocks"]);
    ensure!(last["clocks"]["asked"]["cpu_khz"].is_u64(), "{last}");
    Ok(dvfs)
}

fn counted(dvfs: &Value, name: &str) -> u64 {
    dvfs[name].as_u64().unwrap_or(0)
}

fn is_set() -> Result<()> {
    until("a guard", MINUTE, || {
        std::fs::read_dir("/run/e4").is_ok_and(|mut folder| folder.next().is_some())
    })?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

fn executed() -> Verdict {
    load_drivers()?;
    let before = files();
    let dvfs = end(start("60")?)?;
    let made = ["staged", "late", "folded"].map(|name| counted(&dvfs, name));
    ensure!(made.iter().sum::<u64>() > 30, "{dvfs}");
    ensure!(counted(&dvfs, "refused") == 0, "{dvfs}");
    given_up()?;
    ensure!(files() == before, "{before:?} became {:?}", files());
    Ok(())
}

fn clamped() -> Verdict {
    let child = start("120")?;
    is_set()?;
    let table = read(format!("{POLICY}/scaling_available_frequencies"))?;
    let mut clocks: Vec<u64> = table.split_whitespace().flat_map(str::parse).collect();
    clocks.sort_unstable();
    let max = format!("{POLICY}/scaling_max_freq");
    // The plan asks for the highest often: a lower limit in between is noticed.
    let lower = clocks[clocks.len() - 2].to_string();
    for _ in 0..400 {
        write(&max, &lower)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let dvfs = end(child)?;
    ensure!(counted(&dvfs, "clamped") > 0, "{dvfs}");
    ensure!(counted(&dvfs, "refused") == 0, "{dvfs}");
    // What another process wrote is its own; it is put right for the next case.
    write(&max, &clocks[clocks.len() - 1].to_string())
}

fn throttled() -> Verdict {
    load_drivers()?;
    load_thermal()?;
    let before = files();
    let child = start("200")?;
    is_set()?;
    registers::set_temperature(80)?;
    std::thread::sleep(Duration::from_secs(6));
    registers::set_temperature(40)?;
    let dvfs = end(child)?;
    ensure!(counted(&dvfs, "clamped") > 0, "{dvfs}");
    ensure!(counted(&dvfs, "refused") == 0, "{dvfs}");
    // Once released, the run asks for more again. The kernel lets go step by step, on a
    // busy host more slowly than the run lasts.
    let lines = read("/tmp/lines.json")?;
    let asked = |line: &str| -> Result<u64> {
        let line: Value = serde_json::from_str(line)?;
        let khz = &line["clocks"]["asked"]["cpu_khz"];
        khz.as_u64().with_context(|| line.to_string())
    };
    let asked = lines.lines().map(asked).collect::<Result<Vec<u64>>>()?;
    let lowest = asked.iter().min().context("no line")?;
    let last = asked.iter().rev().take(20).max().context("no line")?;
    ensure!(last > lowest, "{asked:?}");
    given_up()?;
    until("full speed after cooling", MINUTE, || files() == before)?;
    Ok(())
}

fn governor() -> Verdict {
    load("cpufreq_powersave", &[])?;
    let child = start("60")?;
    is_set()?;
    let governor = format!("{POLICY}/scaling_governor");
    let before = read(&governor)?;
    write(&governor, "powersave")?;
    let dvfs = end(child)?;
    // The pin holds whatever the governor is; it is left as the other one set it.
    ensure!(counted(&dvfs, "refused") == 0, "{dvfs}");
    ensure!(counted(&dvfs, "clamped") == 0, "{dvfs}");
    let made = ["staged", "late", "folded"].map(|name| counted(&dvfs, name));
    ensure!(made.iter().sum::<u64>() > 30, "{dvfs}");
    ensure!(read(&governor)? == "powersave", "it is left alone");
    write(&governor, &before)
}

fn vanishes() -> Verdict {
    let child = start("80")?;
    is_set()?;
    let driver = if cfg!(target_arch = "x86_64") {
        "acpi-cpufreq"
    } else {
        "cpufreq-dt"
    };
    crate::guest::unload(driver)?;
    let dvfs = end(child)?;
    ensure!(counted(&dvfs, "refused") > 0, "{dvfs}");
    Ok(())
}

/// EACCES: without rights the clocks are not touched, and the frames flow.
fn unprivileged() -> Verdict {
    load_drivers()?;
    plan()?;
    std::fs::set_permissions("/", std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut command = process::e4(&[
        "run",
        "--source",
        "generator",
        "--fps",
        "10",
        "--sample=false",
        "--bundle",
        BUNDLE,
        "--dvfs",
        "plan",
        "--plan",
        PLAN,
        "--summary",
        "-",
        "--frames",
        "30",
        "--runtime-dir",
        "/tmp/nobody",
    ]);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let summary: Value = serde_json::from_str(&process::output(&mut command)?)?;
    println!("{}", summary["dvfs"]);
    ensure!(counted(&summary["dvfs"], "refused") > 0, "{summary}");
    ensure!(summary["frames"]["captured"] == 30, "{summary}");
    Ok(())
}

fn killed() -> Verdict {
    load_drivers()?;
    let before = files();
    for _ in 0..3 {
        let mut child = start("600")?;
        is_set()?;
        child.kill()?;
        child.wait()?;
        process::output(&mut process::e4(&["restore"]))?;
        ensure!(files() == before, "{before:?} became {:?}", files());
    }
    given_up()
}
