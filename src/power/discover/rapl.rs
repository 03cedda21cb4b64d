//! RAPL through powercap: `energy_uj`, which starts over after
//! `max_energy_range_uj`.

use crate::power::files::Root;
use crate::power::found::{Found, FoundRail, Measure, SensorKind};
use crate::power::sensor::{Window, WindowSource};

const CLASS: &str = "sys/class/powercap";
/// How often the counters move (Intel SDM, volume 3, 16.10).
const REFRESH_NS: u64 = 1_000_000;

/// The packages, and of what lies in them the memory, which their own counters do
/// not contain; cores and graphics they do. `psys` would contain the packages.
pub(super) fn find(root: &Root) -> Option<Found> {
    let mut rails: Vec<FoundRail> = Vec::new();
    for zone in root.list(CLASS) {
        let Some(place) = zone.strip_prefix("intel-rapl:") else {
            continue;
        };
        let folder = format!("{CLASS}/{zone}");
        let Some(name) = root.text(&format!("{folder}/name")) else {
            continue;
        };
        let file = format!("{folder}/energy_uj");
        if !root.has(&file) {
            continue;
        }
        let inner = place.contains(':');
        let range = root.number(&format!("{folder}/max_energy_range_uj"));
        let package = place.split(':').next().unwrap_or_default();
        rails.push(FoundRail {
            label: if inner {
                format!("package-{package}/{name}")
            } else {
                name.clone()
            },
            measure: Measure::Energy {
                file,
                wraps_after_uj: range.filter(|&range| range > 0),
            },
            nested: name == "psys" || (inner && name != "dram"),
        });
    }
    (!rails.is_empty()).then(|| Found {
        kind: SensorKind::Rapl,
        name: format!("rapl at {CLASS}"),
        rails,
        window: Window {
            refresh_ns: REFRESH_NS,
            average_ns: 0,
            source: WindowSource::Assumed,
        },
        accuracy: 0.0,
    })
}
