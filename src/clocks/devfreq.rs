//! GPU and memory clocks that devfreq governs.

use super::DomainKind;
use super::caps::Caps;
use super::khz::Unit;
use super::limits::{Files, Limited, Parts};
use super::opp::OppTable;
use super::sysfs::{Gauge, Tree};

/// Where devfreq devices are.
pub(super) const DEVICES: &str = "sys/class/devfreq";

pub(super) const FILES: Files = Files {
    min: "min_freq",
    max: "max_freq",
    governor: "governor",
};

/// Device-tree names of Jetson GPUs, Nano to Thor.
const GPUS: [&str; 7] = [
    "gpu",
    "gp10b",
    "gv11b",
    "ga10b",
    "gb10b",
    "gpu-gpc-0",
    "gpu-nvd-0",
];
/// Device-tree names of memory controllers.
const MEMORY: [&str; 5] = [
    "emc",
    "external-memory-controller",
    "memory-controller",
    "actmon",
    "dmc",
];
/// Drivers whose `cur_freq` is read from the clock. Others may show what was asked
/// for last, and nothing in sysfs tells.
const MEASURING: [&str; 4] = ["imx-bus-devfreq", "imx-bus", "gk20a", "nvgpu"];

/// A device that e4 knows what to do with.
#[derive(Debug)]
pub(super) struct Device {
    pub kind: DomainKind,
    /// Name of its folder.
    pub entry: String,
}

/// Devices by their device-tree name, whatever their own names and paths.
pub(super) fn devices(tree: &Tree) -> Vec<Device> {
    let kind = |entry: &str| {
        let file = format!("{DEVICES}/{entry}/device/of_node/name");
        let name = tree.read(&file).unwrap_or_default();
        let named = |known: &[&str]| known.iter().any(|&k| k == name.trim() || k == entry);
        if named(&GPUS) {
            Some(DomainKind::Gpu)
        } else {
            named(&MEMORY).then_some(DomainKind::Emc)
        }
    };
    let entries = tree.list(DEVICES);
    entries
        .into_iter()
        .filter_map(|entry| {
            let kind = kind(&entry)?;
            Some(Device { kind, entry })
        })
        .collect()
}

/// Opens a device under the domain's `name`; the error says what it lacks.
pub(super) fn open(tree: &Tree, device: &Device, name: String) -> Result<Limited, String> {
    let folder = format!("{DEVICES}/{}", device.entry);
    let list = format!("{folder}/available_frequencies");
    let opps = tree
        .read(&list)
        .ok()
        .and_then(|text| OppTable::parse(&text, Unit::Hz))
        .ok_or_else(|| format!("/{list} lists no frequencies"))?;
    let clock = Gauge::open(tree, &format!("{folder}/cur_freq"));
    let (measured, wished) = if measures(tree, &folder) {
        (clock, None)
    } else {
        (None, clock)
    };
    let parts = Parts {
        name,
        kind: device.kind,
        folder,
        files: FILES,
        opps,
        measured,
        wished,
        caps: Caps::devfreq(tree, &device.entry),
    };
    Ok(Limited::new(tree, parts))
}

fn measures(tree: &Tree, folder: &str) -> bool {
    let driver = tree.path(&format!("{folder}/device/driver"));
    let driver = driver.canonicalize().unwrap_or_default();
    let name = driver.file_name().unwrap_or_default();
    MEASURING.iter().any(|&known| name == known)
}
