//! INA3221 chips through NVIDIA's own IIO driver (JetPack 4): `rail_name_N`,
//! `in_powerN_input` in mW, channels 0 to 2.

use super::hwmon::is_connected;
use super::ina3221::{DEFAULT_NS, merge};
use crate::power::files::Root;
use crate::power::found::{Found, FoundRail, Measure};
use crate::power::sensor::{Window, WindowSource};

const DEVICES: &str = "sys/bus/iio/devices";
/// 8 mV and 40 uV over a shunt of 5 to 20 mOhm at 5 V: up to 40 mW.
const STEP_UW: f64 = 40_000.0;

pub(super) fn find(root: &Root) -> Option<Found> {
    let window = Window {
        refresh_ns: DEFAULT_NS,
        average_ns: DEFAULT_NS,
        source: WindowSource::Assumed,
    };
    let folders = root.list(DEVICES).into_iter();
    merge(folders.map(|name| {
        let folder = format!("{DEVICES}/{name}");
        let rails = rails(root, &folder);
        (folder, rails, window)
    }))
}

fn rails(root: &Root, folder: &str) -> Vec<FoundRail> {
    let rail = |number: u32| {
        let label = root.text(&format!("{folder}/rail_name_{number}"))?;
        let file = format!("{folder}/in_power{number}_input");
        (is_connected(&label) && root.has(&file)).then_some(FoundRail {
            label,
            measure: Measure::Power {
                file,
                unit_uw: 1_000,
                step_uw: STEP_UW,
            },
            nested: false,
        })
    };
    (0..3).filter_map(rail).collect()
}
