//! e4's own clock domains and their guard on the kernel's drivers: acpi-cpufreq on
//! x86_64, cpufreq-dt and devfreq on aarch64.

use super::clocks::POLICY;
use crate::case::{Case, Outcome as Verdict};
use crate::guest::{load, process, read, registers, unload, until, write};
use anyhow::{Context, Result, bail, ensure};
use e4::clocks::guard::{Action, Report};
use e4::clocks::{
    ClockDomain, DomainKind, Guard, Inventory, Khz, Limiter, Outcome, Place, Refusal, Tree,
    discover, discover_within, recover, rows, settle,
};
use e4::monotonic::now_ns;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("guard_every_point_is_set_and_read_back", every_point),
    Case::new("guard_unprivileged_is_refused", unprivileged),
    Case::new("guard_kernels_einval_is_told", einval),
    Case::new("guard_node_appears_late_and_vanishes", late_and_gone),
    Case::new("guard_clamped_by_scaling_max", clamped_by_another),
    Case::new("guard_throttled_in_mid_run", throttled),
    Case::new("guard_capped_by_firmware", capped_by_firmware).only("x86_64"),
    Case::new("guard_governor_taken_away", governor_taken),
    Case::new("guard_start_throttled_ends_at_full_speed", start_throttled),
    Case::new("guard_kill_ten_times", killed),
    Case::new("guard_panic_gives_back", panicked),
    Case::new("guard_transitions_are_measured", transitions),
];

const MINUTE: Duration = Duration::from_secs(60);
/// Tells a case's second process what to do.
const ROLE: &str = "E4_VM_ROLE";
const GPU: &str = "/sys/class/devfreq";

fn place() -> Place {
    Place {
        runtime_dir: "/run/e4".into(),
        tree: Tree::default(),
    }
}

/// The kinds of domains that this machine has.
fn kinds() -> &'static [DomainKind] {
    if cfg!(target_arch = "x86_64") {
        &[DomainKind::Cpu]
    } else {
        &[DomainKind::Cpu, DomainKind::Gpu]
    }
}

/// Loads the drivers and waits for their domains.
fn load_drivers() -> Result<()> {
    load(driver(), &[])?;
    if cfg!(target_arch = "aarch64") {
        load("imx-bus", &[])?;
    }
    let found = discover_within(&place().tree, kinds(), MINUTE);
    for &kind in kinds() {
        ensure!(found.find_kind(kind).is_some(), "{:?}", found.absent);
    }
    Ok(())
}

fn driver() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "acpi-cpufreq"
    } else {
        "cpufreq-dt"
    }
}

fn load_thermal() -> Result<()> {
    load(
        if cfg!(target_arch = "x86_64") {
            "thermal"
        } else {
            "bcm2711_thermal"
        },
        &[],
    )
}

/// Drivers loaded, domains found and held.
fn held() -> Result<(Guard, Inventory)> {
    load_drivers()?;
    let mut found = discover(&place().tree);
    let guard = Guard::claim(&place(), &mut found.domains)?;
    Ok((guard, found))
}

fn cpu(found: &mut Inventory) -> Result<&mut dyn ClockDomain> {
    let domain = found.find("cpu0").context("no cpu0")?;
    Ok(domain.as_mut())
}

fn is_taken(domain: &dyn ClockDomain, outcome: Outcome) -> bool {
    match domain.now() {
        Ok(now) if now.measured => outcome == Outcome::InEffect,
        _ => outcome == Outcome::Unverified,
    }
}

/// The fastest point, or the slowest.
fn pin(domain: &mut dyn ClockDomain, fastest: bool) -> Result<()> {
    let opp = if fastest {
        domain.opps().highest()
    } else {
        domain.opps().lowest()
    };
    let first = domain.set(opp);
    let outcome = settle(domain, now_ns() + 5_000_000_000);
    ensure!(
        is_taken(domain, outcome),
        "{} to {}: {first:?}, {outcome:?}",
        domain.name(),
        opp.khz()
    );
    Ok(())
}

/// Every file that a clock is set by, with its text.
fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let folders = ["/sys/devices/system/cpu/cpufreq", GPU];
    let entries = folders.iter().filter_map(|f| std::fs::read_dir(f).ok());
    for folder in entries.flatten().flatten() {
        for name in [
            "scaling_min_freq",
            "scaling_max_freq",
            "scaling_governor",
            "min_freq",
            "max_freq",
            "governor",
        ] {
            let path = folder.path().join(name);
            if let Ok(text) = read(&path) {
                files.insert(path, text);
            }
        }
    }
    files
}

fn given_back(reports: &[Report]) -> Result<()> {
    for report in reports {
        ensure!(
            report.is_done() && report.complaints().is_empty(),
            "{report:?}"
        );
    }
    ensure!(
        std::fs::read_dir("/run/e4")?.next().is_none(),
        "a guard is left"
    );
    Ok(())
}

fn every_point() -> Verdict {
    load_drivers()?;
    let before = files();
    let (guard, mut found) = held()?;
    let mut count = 0;
    for domain in &mut found.domains {
        let domain = domain.as_mut();
        let opps: Vec<_> = domain.opps().iter().collect();
        for &opp in opps.iter().chain(opps.iter().rev()) {
            let first = domain.set(opp);
            let outcome = settle(domain, now_ns() + 5_000_000_000);
            // A clock that only repeats the wish does so at the next tick.
            let shown = until("the clock", MINUTE, || {
                domain.now().is_ok_and(|now| now.khz == opp.khz())
            });
            ensure!(
                is_taken(domain, outcome) && shown.is_ok(),
                "{} to {}: {first:?}, then {outcome:?} at {:?}",
                domain.name(),
                opp.khz(),
                domain.now()
            );
            count += 1;
        }
        let off = Khz(opps[0].khz().0 + 1);
        ensure!(domain.opps().at(off).is_none(), "{off} can be asked for");
        println!(
            "{}: {} points, measured: {}",
            domain.name(),
            opps.len(),
            domain.now()?.measured
        );
    }
    given_back(&guard.give_back())?;
    ensure!(files() == before, "{before:?} became {:?}", files());
    println!("{count} settings read back");
    Ok(())
}

fn unprivileged() -> Verdict {
    if role().is_none() {
        load_drivers()?;
        // The guest's root folder is root's alone.
        std::fs::set_permissions("/", std::fs::Permissions::from_mode(0o755))?;
        let status = again("guard_unprivileged_is_refused", "nobody")?.wait()?;
        ensure!(status.success(), "see above");
        return Ok(());
    }
    if let Err(error) = as_nobody() {
        println!("{error:#}");
        // Nobody may not write the reason where the runner reads it.
        std::process::exit(1);
    }
    Ok(())
}

fn as_nobody() -> Verdict {
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setuid(nobody)?;
    let place = Place {
        runtime_dir: "/tmp/e4-nobody".into(),
        ..place()
    };
    let row = rows(&place).into_iter().find(|row| row.domain == "cpu0");
    let row = row.context("no row for cpu0")?;
    ensure!(!row.writable && row.fix.is_some(), "{row:?}");
    println!("doctor: {:?}, fix: {:?}", row.problem, row.fix);
    let mut found = discover(&place.tree);
    let guard = Guard::claim(&place, &mut found.domains)?;
    let outcome = {
        let cpu = cpu(&mut found)?;
        let lowest = cpu.opps().lowest();
        cpu.set(lowest)
    };
    let denied = Refusal::System(Errno::EACCES);
    ensure!(
        matches!(outcome, Outcome::Refused { why, .. } if why == denied),
        "{outcome:?}"
    );
    drop(guard);
    let refused = Guard::claim(&self::place(), &mut found.domains);
    let Err(error) = refused else {
        bail!("/run/e4 can be written to by nobody");
    };
    ensure!(error.to_string().contains("--runtime-dir"), "{error}");
    Ok(())
}

/// A tree whose memory clock is set through a file of cpufreq that takes nothing
/// outside the userspace governor.
fn einval() -> Verdict {
    load_drivers()?;
    let emc = PathBuf::from("/tmp/board/sys/kernel/debug/clk/override.emc");
    std::fs::create_dir_all(&emc)?;
    write(emc.join("clk_possible_rates"), "204000000 408000000\n")?;
    write(emc.join("clk_rate"), "204000000\n")?;
    write(emc.join("clk_state"), "0\n")?;
    let speed = format!("{POLICY}/scaling_setspeed");
    std::os::unix::fs::symlink(speed, emc.join("clk_update_rate"))?;
    let place = Place {
        runtime_dir: "/tmp/e4".into(),
        tree: Tree::new("/tmp/board"),
    };
    let mut found = discover(&place.tree);
    let _guard = Guard::claim(&place, &mut found.domains)?;
    let emc = found.find("emc").context("no emc")?;
    let highest = emc.opps().highest();
    let outcome = emc.set(highest);
    let invalid = Refusal::System(Errno::EINVAL);
    ensure!(
        matches!(outcome, Outcome::Refused { why, .. } if why == invalid),
        "{outcome:?}"
    );
    Ok(())
}

fn late_and_gone() -> Verdict {
    let none = discover(&place().tree);
    ensure!(
        none.find_kind(DomainKind::Cpu).is_none(),
        "a policy without a driver"
    );
    println!("{}", none.absent[0].reason);
    let late = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(500));
        load_drivers()
    });
    let found = discover_within(&place().tree, &[DomainKind::Cpu], MINUTE);
    late.join().expect("it does not panic")?;
    ensure!(found.find_kind(DomainKind::Cpu).is_some(), "no policy came");
    let (guard, mut found) = held()?;
    pin(cpu(&mut found)?, false)?;
    unload(driver())?;
    let cpu = cpu(&mut found)?;
    let highest = cpu.opps().highest();
    let outcome = cpu.set(highest);
    ensure!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    println!("after the driver is gone: {outcome:?}");
    let reports = guard.give_back();
    ensure!(reports.iter().all(Report::is_done), "{reports:?}");
    let gone = reports.iter().flat_map(|r| &r.files);
    ensure!(
        gone.clone().any(|file| file.action == Action::Gone),
        "{reports:?}"
    );
    Ok(())
}

fn clamped_by_another() -> Verdict {
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    let lower = cpu.opps().below_highest(1);
    let max = format!("{POLICY}/scaling_max_freq");
    write(&max, &lower.raw().to_string())?;
    let clamped = Outcome::Clamped {
        to: lower.khz(),
        by: Limiter::Other,
    };
    until("the lower limit", MINUTE, || cpu.check() == clamped)?;
    ensure!(cpu.allowed().highest == lower.khz(), "{:?}", cpu.allowed());
    let highest = cpu.opps().highest();
    ensure!(
        cpu.set(highest) == clamped,
        "another process's limit is gone over"
    );
    write(&max, &highest.raw().to_string())?;
    ensure!(cpu.allowed().by.is_none(), "{:?}", cpu.allowed());
    pin(cpu, true)?;
    given_back(&guard.give_back())
}

fn throttled() -> Verdict {
    load_thermal()?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    registers::set_temperature(80)?;
    let hot = until("throttling at 80 C", MINUTE, || {
        matches!(
            cpu.check(),
            Outcome::Clamped {
                by: Limiter::Thermal,
                ..
            }
        )
    })?;
    let allowed = cpu.allowed();
    ensure!(allowed.by == Some(Limiter::Thermal), "{allowed:?}");
    println!("{hot:.1?}: {:?}, allowed {allowed:?}", cpu.check());
    registers::set_temperature(40)?;
    let cool = until("release at 40 C", MINUTE, || {
        let outcome = cpu.check();
        is_taken(cpu, outcome) && cpu.allowed().by.is_none()
    })?;
    println!("{cool:.1?}: {:?}", cpu.check());
    given_back(&guard.give_back())
}

fn capped_by_firmware() -> Verdict {
    load_thermal()?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    registers::set_firmware_cap(2)?;
    until("the firmware's cap", MINUTE, || {
        matches!(
            cpu.check(),
            Outcome::Clamped {
                by: Limiter::Bios,
                ..
            }
        )
    })?;
    let allowed = cpu.allowed();
    ensure!(
        allowed.highest == cpu.opps().below_highest(2).khz(),
        "{allowed:?}"
    );
    let highest = cpu.opps().highest().raw().to_string();
    given_back(&guard.give_back())?;
    registers::set_firmware_cap(0)?;
    until("full speed", MINUTE, || {
        read(format!("{POLICY}/scaling_max_freq")).is_ok_and(|max| max == highest)
    })?;
    Ok(())
}

fn governor_taken() -> Verdict {
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    load("cpufreq_powersave", &[])?;
    let governor = format!("{POLICY}/scaling_governor");
    let before = read(&governor)?;
    process::output(Command::new("sh").args(["-c", &format!("echo powersave > {governor}")]))?;
    let outcome = cpu.check();
    ensure!(is_taken(cpu, outcome), "the pin holds: {outcome:?}");
    pin(cpu, false)?;
    let reports = guard.give_back();
    let left = Action::LeftAlone {
        holds: "powersave".into(),
        original: before.clone(),
    };
    let files = || reports.iter().flat_map(|r| &r.files);
    ensure!(files().any(|file| file.action == left), "{reports:?}");
    ensure!(read(&governor)? == "powersave", "it is left alone");
    write(&governor, &before)
}

fn start_throttled() -> Verdict {
    load_drivers()?;
    load_thermal()?;
    let mut found = discover(&place().tree);
    let highest = cpu(&mut found)?.opps().highest().raw().to_string();
    let max = || read(format!("{POLICY}/scaling_max_freq"));
    registers::set_temperature(80)?;
    until("throttling at 80 C", MINUTE, || {
        max().is_ok_and(|max| max != highest)
    })?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    let lowest = cpu.opps().lowest();
    cpu.set(lowest);
    println!("started at {} of {highest} kHz", max()?);
    given_back(&guard.give_back())?;
    registers::set_temperature(40)?;
    until("full speed after cooling", MINUTE, || {
        max().is_ok_and(|max| max == highest)
    })?;
    Ok(())
}

/// Starts this case once more, in another role.
fn again(case: &str, role: &str) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    Ok(command.args(["case", case]).env(ROLE, role).spawn()?)
}

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

fn killed() -> Verdict {
    if role().is_some() {
        let (_guard, mut found) = held()?;
        loop {
            for domain in &mut found.domains {
                for opp in domain.opps().iter().collect::<Vec<_>>() {
                    domain.set(opp);
                }
            }
        }
    }
    load_drivers()?;
    let before = files();
    let mut changed = 0;
    for run in 0..10_u64 {
        let mut child = again("guard_kill_ten_times", "victim")?;
        until("a change of clocks", MINUTE, || files() != before)?;
        std::thread::sleep(Duration::from_micros(run * 7_919 % 30_000));
        child.kill()?;
        child.wait()?;
        changed += u32::from(files() != before);
        if run % 2 == 0 {
            process::output(&mut process::e4(&["restore"]))?;
        } else {
            given_back(&recover(&place().runtime_dir, None)?)?;
        }
        ensure!(
            files() == before,
            "run {run}: {before:?} became {:?}",
            files()
        );
    }
    println!("10 killed, {changed} with changed clocks; all given back");
    Ok(())
}

fn panicked() -> Verdict {
    if role().is_some() {
        let (_guard, mut found) = held()?;
        pin(cpu(&mut found)?, false)?;
        panic!("on purpose");
    }
    load_drivers()?;
    let before = files();
    let status = again("guard_panic_gives_back", "victim")?.wait()?;
    ensure!(!status.success(), "it did not panic");
    ensure!(files() == before, "{before:?} became {:?}", files());
    Ok(())
}

/// In an emulator speed does not follow the clock: `e4 profile` must say so and
/// fall back to read-back.
fn transitions() -> Verdict {
    load_drivers()?;
    let before = files();
    let mut profile = process::e4(&["profile", "--transitions", "--json", "--repeat", "12"]);
    let text = process::output(&mut profile)?;
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let domains = report["domains"].as_array().context("no domains")?;
    for domain in domains {
        println!("{domain}");
        let found = domain["distributions"].as_array().context("none")?;
        for read in found.iter().filter(|d| d["by"] == "read-back") {
            ensure!(read["n"] == 12, "{read}");
        }
        if domain["kind"] == "cpu" {
            ensure!(domain["speed_follows_clock"] == false, "{domain}");
        }
    }
    ensure!(files() == before, "{before:?} became {:?}", files());
    Ok(())
}
