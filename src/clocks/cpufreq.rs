//! CPU clocks: one domain a cpufreq policy.

use super::DomainKind;
use super::caps::Caps;
use super::khz::Unit;
use super::limits::{Files, Limited, Parts};
use super::opp::OppTable;
use super::sysfs::{Gauge, Tree};

/// Where policies are.
pub(super) const POLICIES: &str = "sys/devices/system/cpu/cpufreq";

pub(super) const FILES: Files = Files {
    min: "scaling_min_freq",
    max: "scaling_max_freq",
    governor: "scaling_governor",
};

/// The folders of the policies, by number.
pub(super) fn policies(tree: &Tree) -> Vec<String> {
    let mut numbers: Vec<u32> = tree
        .list(POLICIES)
        .iter()
        .filter_map(|name| name.strip_prefix("policy")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
        .iter()
        .map(|number| format!("{POLICIES}/policy{number}"))
        .collect()
}

/// Opens the policy in `folder`; the error says what it lacks.
///
/// `scaling_cur_freq` is what was asked for last, unless the driver knows better;
/// only `cpuinfo_cur_freq` is read from the hardware.
pub(super) fn open(tree: &Tree, folder: &str) -> Result<Limited, String> {
    let path = |file: &str| format!("{folder}/{file}");
    let list = path("scaling_available_frequencies");
    let opps = tree
        .read(&list)
        .ok()
        .and_then(|text| OppTable::parse(&text, Unit::Khz))
        .ok_or_else(|| {
            let driver = tree.read(&path("scaling_driver")).unwrap_or_default();
            format!("/{list}: the driver {} lists no frequencies", driver.trim())
        })?;
    let low = tree.number(&path("cpuinfo_min_freq")).unwrap_or(0);
    let high = tree.number(&path("cpuinfo_max_freq")).unwrap_or(u64::MAX);
    let related = tree.read(&path("related_cpus")).unwrap_or_default();
    let number = folder.rsplit("policy").next().unwrap_or_default();
    let first = related.split_whitespace().next().unwrap_or(number);
    let parts = Parts {
        name: format!("cpu{first}"),
        kind: DomainKind::Cpu,
        folder: folder.to_owned(),
        files: FILES,
        opps: opps.within(low, high),
        measured: Gauge::open(tree, &path("cpuinfo_cur_freq")),
        wished: Gauge::open(tree, &path("scaling_cur_freq")),
        caps: Caps::cpu(tree, folder),
    };
    Ok(Limited::new(tree, parts))
}
