//! A cost table in words.

use crate::plan::cost::{Cost, CostTable, Row};
use std::fmt::Write as _;

pub(crate) fn text(table: &CostTable) -> String {
    let head = &table.head;
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, value) in [
        ("board", &head.board),
        ("energy of", &head.boundary),
        ("bundle", &head.bundle),
        ("sha256", &head.bundle_sha256),
    ] {
        let known = if value.is_empty() { "not known" } else { value };
        let _ = writeln!(text, "{name:10} {known}");
    }
    let _ = writeln!(
        text,
        "{:>7} {:>9} {:>9} {:>9}  {:>22}  {:>22} {:>7}  source",
        "segment", "cpu MHz", "gpu MHz", "emc MHz", "latency ms", "energy mJ", "samples",
    );
    for row in table.rows() {
        line(&mut text, row);
    }
    for idle in &table.head.idle {
        let mhz = mhz(idle.point().khz());
        let _ = writeln!(
            text,
            "{:>7} {:>9} {:>9} {:>9}  {:.3} +- {:.3} W",
            "idle", mhz[0], mhz[1], mhz[2], idle.watts, idle.error_w
        );
    }
    text
}

fn line(text: &mut String, row: &Row) {
    let mhz = mhz(row.point.khz());
    let milli = |cost: Cost| format!("{:.4} +- {:.4}", 1e3 * cost.mean, 1e3 * cost.spread);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:>7} {:>9} {:>9} {:>9}  {:>22}  {:>22} {:>7}  {}",
        row.segment,
        mhz[0],
        mhz[1],
        mhz[2],
        milli(row.latency_s),
        milli(row.energy_j),
        row.samples,
        row.source.name(),
    );
}

/// Clocks in MHz; a dash for an axis that is not there.
pub(super) fn mhz(khz: [u32; 3]) -> [String; 3] {
    khz.map(|khz| match khz {
        0 => "-".to_owned(),
        _ => format!("{:.1}", f64::from(khz) / 1e3),
    })
}
