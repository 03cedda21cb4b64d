//! hwmon devices: ACPI power meters, and whatever else shows power or energy.

use crate::power::files::Root;
use crate::power::found::{Found, FoundRail, Measure, SensorKind};
use crate::power::sensor::{Window, WindowSource};

const CLASS: &str = "sys/class/hwmon";
/// Refresh of a device that states none.
const ASSUMED_NS: u64 = 1_000_000_000;

/// A hwmon device: its driver's name and the folder with its attributes.
#[derive(Clone, Debug)]
pub(super) struct Chip {
    pub name: String,
    pub folder: String,
}

/// Every hwmon device. Old drivers put the attributes one folder further down.
pub(super) fn chips(root: &Root) -> Vec<Chip> {
    let chip = |entry: String| {
        let own = format!("{CLASS}/{entry}");
        let parent = format!("{own}/device");
        let named = |folder: &String| Some((root.text(&format!("{folder}/name"))?, folder.clone()));
        let (name, folder) = named(&own).or_else(|| named(&parent))?;
        let shows = |folder: &String| root.list(folder).iter().any(|file| is_reading(file));
        let folder = if !shows(&own) && shows(&parent) {
            parent
        } else {
            folder
        };
        Some(Chip { name, folder })
    };
    root.list(CLASS).into_iter().filter_map(chip).collect()
}

fn is_reading(file: &str) -> bool {
    let kinds = ["in", "curr", "power", "energy"];
    (file.ends_with("_input") || file.ends_with("_average"))
        && kinds.iter().any(|kind| file.starts_with(kind))
}

/// Milliseconds that a file shows, in nanoseconds.
pub(super) fn milliseconds(root: &Root, file: &str) -> Option<u64> {
    let ms = u64::try_from(root.number(file)?).ok()?;
    (ms > 0).then(|| ms.saturating_mul(1_000_000))
}

/// ACPI power meters.
pub(super) fn meters(root: &Root, chips: &[Chip]) -> Vec<Found> {
    let meters = chips.iter().filter(|chip| chip.name == "power_meter");
    meters
        .filter_map(|chip| power(root, chip, SensorKind::Acpi))
        .collect()
}

/// Devices that are neither a power meter nor an INA3221.
pub(super) fn others(root: &Root, chips: &[Chip]) -> Vec<Found> {
    let others = || {
        let known = ["power_meter", "ina3221"];
        chips
            .iter()
            .filter(move |c| !known.contains(&c.name.as_str()))
    };
    let energy = others().filter_map(|chip| energy(root, chip));
    let power = others().filter_map(|chip| power(root, chip, SensorKind::Hwmon));
    energy.chain(power).collect()
}

fn power(root: &Root, chip: &Chip, kind: SensorKind) -> Option<Found> {
    let folder = &chip.folder;
    let rails: Vec<FoundRail> = channels(root, folder, "power")
        .filter_map(|(number, label)| {
            let read = ["input", "average"].map(|what| format!("{folder}/power{number}_{what}"));
            let file = read.into_iter().find(|file| root.has(file))?;
            let measure = Measure::Power {
                file,
                unit_uw: 1,
                step_uw: 1.0,
            };
            Some(rail(label, measure))
        })
        .collect();
    let average = milliseconds(root, &format!("{folder}/power1_average_interval"));
    let refresh = milliseconds(root, &format!("{folder}/update_interval"));
    let error = inaccuracy(root, &format!("{folder}/power1_accuracy"));
    found(chip, kind, rails, average, refresh).map(|found| Found {
        accuracy: error.unwrap_or(0.0),
        ..found
    })
}

/// What lacks to 100 % in an accuracy as ACPI states it; a firmware that has no idea
/// says 0.
fn inaccuracy(root: &Root, file: &str) -> Option<f64> {
    let text = root.text(file)?;
    let percent: f64 = text.trim_end_matches('%').parse().ok()?;
    (percent > 0.0 && percent <= 100.0).then_some(1.0 - percent / 100.0)
}

fn energy(root: &Root, chip: &Chip) -> Option<Found> {
    let folder = &chip.folder;
    let rails = channels(root, folder, "energy").filter_map(|(number, label)| {
        let file = format!("{folder}/energy{number}_input");
        let wraps_after_uj = None;
        let measure = Measure::Energy {
            file: file.clone(),
            wraps_after_uj,
        };
        root.has(&file).then(|| rail(label, measure))
    });
    let refresh = milliseconds(root, &format!("{folder}/update_interval"));
    found(chip, SensorKind::Hwmon, rails.collect(), None, refresh).map(|mut found| {
        found.window.average_ns = 0;
        found
    })
}

fn rail(label: String, measure: Measure) -> FoundRail {
    FoundRail {
        label,
        measure,
        nested: false,
    }
}

fn found(
    chip: &Chip,
    kind: SensorKind,
    rails: Vec<FoundRail>,
    average_ns: Option<u64>,
    refresh_ns: Option<u64>,
) -> Option<Found> {
    let stated = average_ns.or(refresh_ns);
    let window = Window {
        refresh_ns: refresh_ns.or(average_ns).unwrap_or(ASSUMED_NS),
        average_ns: stated.unwrap_or(ASSUMED_NS),
        source: stated.map_or(WindowSource::Assumed, |_| WindowSource::Stated),
    };
    (!rails.is_empty()).then(|| Found {
        kind,
        name: format!("{} at {}", chip.name, chip.folder),
        rails,
        window,
        accuracy: 0.0,
    })
}

/// Numbers and labels of the channels `KINDn` that are connected.
pub(super) fn channels(
    root: &Root,
    folder: &str,
    kind: &'static str,
) -> impl Iterator<Item = (u32, String)> {
    let number = move |file: &String| -> Option<u32> {
        let (digits, what) = file.strip_prefix(kind)?.split_once('_')?;
        let reading = what == "input" || what == "average";
        digits.parse().ok().filter(|_| reading)
    };
    let mut numbers: Vec<u32> = root.list(folder).iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let labelled = numbers.into_iter().filter_map(|number| {
        let label = root.text(&format!("{folder}/{kind}{number}_label"));
        let label = label.filter(|label| !label.is_empty());
        let enabled = root.number(&format!("{folder}/{kind}{number}_enable"));
        let label = label.unwrap_or_else(|| format!("{kind}{number}"));
        (enabled != Some(0) && is_connected(&label)).then_some((number, label))
    });
    labelled.collect::<Vec<_>>().into_iter()
}

/// `NC` is the label of a channel that nothing is connected to.
pub(super) fn is_connected(label: &str) -> bool {
    !label.eq_ignore_ascii_case("nc")
}
