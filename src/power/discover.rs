//! Finds the power sensors below a root.
//!
//! Guarantees: opens nothing for long and writes nothing; what a folder lacks or
//! holds as garbage makes a rail fall out, never the search fail. Rails that are
//! not connected (label `NC`) or switched off are passed over.

use super::files::Root;
use super::found::Found;

mod hwmon;
mod iio;
mod ina3221;
mod rapl;

/// Every sensor with at least one rail, the preferred kind first. All INA3221 of a
/// machine are one sensor: a board's rails are spread over several chips.
#[must_use]
pub fn discover(root: &Root) -> Vec<Found> {
    let chips = hwmon::chips(root);
    let ina3221 = ina3221::find(root, &chips).or_else(|| iio::find(root));
    let mut found: Vec<Found> = ina3221.into_iter().collect();
    found.extend(rapl::find(root));
    found.extend(hwmon::meters(root, &chips));
    found.extend(hwmon::others(root, &chips));
    found
}
