//! e4's own clock domains and their guard on the kernel's drivers: acpi-cpufreq on
//! x86_64, cpufreq-dt and devfreq on aarch64.

mod endings;
mod settings;

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
    Case::new(
        "guard_every_point_is_set_and_read_back",
        settings::every_point,
    ),
    Case::new("guard_unprivileged_is_refused", settings::unprivileged),
    Case::new("guard_kernels_einval_is_told", settings::einval),
    Case::new(
        "guard_node_appears_late_and_vanishes",
        settings::late_and_gone,
    ),
    Case::new("guard_clamped_by_scaling_max", settings::clamped_by_another),
    Case::new("guard_throttled_in_mid_run", settings::throttled),
    Case::new("guard_capped_by_firmware", settings::capped_by_firmware).only("x86_64"),
    Case::new("guard_governor_taken_away", settings::governor_taken),
    Case::new(
        "guard_start_throttled_ends_at_full_speed",
        endings::start_throttled,
    ),
    Case::new("guard_kill_ten_times", endings::killed),
    Case::new("guard_panic_gives_back", endings::panicked),
    Case::new("guard_transitions_are_measured", endings::transitions),
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
pub(super) fn kinds() -> &'static [DomainKind] {
    if cfg!(target_arch = "x86_64") {
        &[DomainKind::Cpu]
    } else {
        &[DomainKind::Cpu, DomainKind::Gpu]
    }
}

/// Loads the drivers and waits for their domains.
pub(super) fn load_drivers() -> Result<()> {
    load(driver(), &[])?;
    if cfg!(target_arch = "aarch64") {
        // The bus asks for this governor and loads none itself.
        load("governor_userspace", &[])?;
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

pub(super) fn load_thermal() -> Result<()> {
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
pub(super) fn files() -> BTreeMap<PathBuf, String> {
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

/// No guard is left.
pub(super) fn given_up() -> Result<()> {
    let left = std::fs::read_dir("/run/e4")?.flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    ensure!(left.is_empty(), "left: {left:?}");
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
