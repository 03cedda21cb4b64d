//! INA3221 chips through mainline's hwmon driver (JetPack 5 and later):
//! `inN_label`, `inN_input` in mV, `currN_input` in mA, channels 1 to 3.

use super::hwmon::{Chip, channels, milliseconds};
use crate::power::files::Root;
use crate::power::found::{Found, FoundRail, Measure, SensorKind};
use crate::power::sensor::{Window, WindowSource};

/// Step of the chip's shunt voltage and of its bus voltage (datasheet, 8.6.2).
const SHUNT_STEP_UV: f64 = 40.0;
const BUS_STEP_MV: f64 = 8.0;
/// The driver's default shunt.
const SHUNT_UOHM: f64 = 10_000.0;
/// Three channels, two conversions each, 1.1 ms a conversion: the chip's default.
pub(super) const DEFAULT_NS: u64 = 6_600_000;
/// Most samples that the chip averages.
const MOST_SAMPLES: i64 = 1_024;

pub(super) fn find(root: &Root, chips: &[Chip]) -> Option<Found> {
    let chips = chips.iter().filter(|chip| chip.name == "ina3221");
    merge(chips.map(|chip| (chip.folder.clone(), rails(root, chip), window(root, chip))))
}

/// Several chips as one sensor, whose window is the slowest chip's.
pub(super) fn merge(
    chips: impl Iterator<Item = (String, Vec<FoundRail>, Window)>,
) -> Option<Found> {
    let chips: Vec<_> = chips.filter(|(_, rails, _)| !rails.is_empty()).collect();
    let window = chips
        .iter()
        .map(|chip| chip.2)
        .max_by_key(Window::span_ns)?;
    let folders: Vec<_> = chips.iter().map(|chip| chip.0.as_str()).collect();
    Some(Found {
        kind: SensorKind::Ina3221,
        name: format!("ina3221 at {}", folders.join(" and ")),
        rails: chips.into_iter().flat_map(|chip| chip.1).collect(),
        window,
        accuracy: 0.0,
    })
}

/// Channels 1 to 3 that have a voltage and a current; what follows them are shunt
/// voltages and their sum.
fn rails(root: &Root, chip: &Chip) -> Vec<FoundRail> {
    let folder = &chip.folder;
    let buses = channels(root, folder, "in").filter(|&(number, _)| number <= 3);
    let rail = |(number, label)| {
        let (volt, ampere) = (
            format!("{folder}/in{number}_input"),
            format!("{folder}/curr{number}_input"),
        );
        if !root.has(&ampere) {
            return None;
        }
        let shunt = root.number(&format!("{folder}/shunt{number}_resistor"));
        let shunt_uohm = shunt.filter(|&r| r > 0).map_or(SHUNT_UOHM, |r| r as f64);
        Some(FoundRail {
            label,
            measure: Measure::VoltAmpere {
                volt,
                ampere,
                step_mv: BUS_STEP_MV,
                // The file shows whole milliamperes.
                step_ma: (SHUNT_STEP_UV / shunt_uohm * 1e3).max(1.0),
            },
            nested: false,
        })
    };
    buses.filter_map(rail).collect()
}

/// `update_interval` (to the nearest ms) is the time of all conversions, for one
/// sample; the chip's registers change after `samples` of them. Kernels before 6.7
/// count the samples into the interval themselves: there the window is too long
/// and the bar too wide, never too narrow.
fn window(root: &Root, chip: &Chip) -> Window {
    let folder = &chip.folder;
    let stated = milliseconds(root, &format!("{folder}/update_interval"));
    let samples = root.number(&format!("{folder}/samples"));
    let samples = samples.unwrap_or(1).clamp(1, MOST_SAMPLES).unsigned_abs();
    let once = stated.map_or(DEFAULT_NS, |ns| ns.saturating_add(500_000));
    let all = once.saturating_mul(samples);
    Window {
        refresh_ns: all,
        average_ns: all,
        source: stated.map_or(WindowSource::Assumed, |_| WindowSource::Stated),
    }
}
