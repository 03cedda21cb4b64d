//! The cost table: what each segment costs at each clock point.
//!
//! Guarantees: every row's latency and energy are finite and above 0, spreads not
//! below 0, at least one sample; a segment has a clock point at most once; all
//! rows have the same clock axes. A table that was written reads back the same,
//! bit for bit. Any bytes are a table or one sentence with file and line. Where the
//! power of a board that waits was measured, `[[idle]]` has it, finite and not below
//! 0, by clock point.
//!
//! The file ([`FORMAT`]) is a TOML head, a line `---`, and a CSV body:
//!
//! ```text
//! format = "e4.cost-table/1"
//! board = "tx2"
//! boundary = "VDD_IN"
//! bundle = "mobilenetv2-e5"
//! bundle_sha256 = "..."
//!
//! [[idle]]
//! cpu_khz = 2035200
//! gpu_khz = 1300500
//! emc_khz = 1866000
//! watts = 4.1
//! ---
//! segment,cpu_khz,gpu_khz,emc_khz,latency_s,latency_spread_s,energy_j,energy_spread_j,samples,source
//! 0,2035200,1300500,1866000,0.00178,0.00001,0.0123,0.0002,40,measured
//! ```

mod format;

pub use format::{CostError, FORMAT};

use super::grid::Grid;
use super::point::ClockPoint;
use serde::{Deserialize, Serialize};

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A sensor on the board.
    Measured,
    /// A simulated board.
    Simulated,
}

impl Source {
    /// The word in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Simulated => "simulated",
        }
    }
}

/// What holds for the whole table. Texts are empty where nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// Name of the board.
    #[serde(default)]
    pub board: String,
    /// Which rails or counters the energy covers.
    #[serde(default)]
    pub boundary: String,
    /// Name of the bundle whose segments were run.
    #[serde(default)]
    pub bundle: String,
    /// Its digest.
    #[serde(default)]
    pub bundle_sha256: String,
    /// What the board draws while it waits, by clock point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<Idle>,
}

/// Power of a board that waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Processor clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cpu_khz: u32,
    /// Graphics clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub gpu_khz: u32,
    /// Memory clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub emc_khz: u32,
    /// Mean power, W.
    pub watts: f64,
    /// By how much it can be off, W.
    #[serde(default)]
    pub error_w: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(khz: &u32) -> bool {
    *khz == 0
}

impl Idle {
    /// At a clock point.
    #[must_use]
    pub fn at(point: ClockPoint, watts: f64, error_w: f64) -> Self {
        let [cpu_khz, gpu_khz, emc_khz] = point.khz();
        Self {
            cpu_khz,
            gpu_khz,
            emc_khz,
            watts,
            error_w,
        }
    }

    /// Its clocks.
    #[must_use]
    pub fn point(&self) -> ClockPoint {
        ClockPoint::new([self.cpu_khz, self.gpu_khz, self.emc_khz])
    }
}

impl Default for Head {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            board: String::new(),
            boundary: String::new(),
            bundle: String::new(),
            bundle_sha256: String::new(),
            idle: Vec::new(),
        }
    }
}

/// A quantity per inference of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Mean.
    pub mean: f64,
    /// Latency: standard deviation of a single inference. Energy, which no sensor
    /// shows of a single one: by how much the mean can be off, by the sensor's error
    /// bar or by what repetitions differed, whichever is more.
    pub spread: f64,
}

/// One segment at one clock point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Segment, from 0.
    pub segment: u32,
    /// Clocks.
    pub point: ClockPoint,
    /// Latency, seconds.
    pub latency_s: Cost,
    /// Energy, joules.
    pub energy_j: Cost,
    /// Measurements behind the means, at least 1.
    pub samples: u32,
    /// Where the numbers come from.
    pub source: Source,
}

/// The table.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CostTable {
    /// What holds for all rows.
    pub head: Head,
    rows: Vec<Row>,
}

impl CostTable {
    /// A table of these rows, sorted by segment and clocks.
    ///
    /// # Errors
    /// The place in `rows` of the first row that breaks the module's guarantees,
    /// and what is wrong with it.
    pub fn new(head: Head, rows: Vec<Row>) -> Result<Self, (usize, String)> {
        for (place, row) in rows.iter().enumerate() {
            row.check().map_err(|what| (place, what))?;
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|place| (rows[*place].segment, rows[*place].point, *place));
        for pair in order.windows(2) {
            let (a, b) = (&rows[pair[0]], &rows[pair[1]]);
            if (a.segment, a.point) == (b.segment, b.point) {
                let what = format!("segment {} has {} twice", b.segment, b.point);
                return Err((pair[1], what));
            }
        }
        let axes = |row: &Row| row.point.khz().map(|khz| khz > 0);
        if let Some(odd) = rows.iter().position(|row| axes(row) != axes(&rows[0])) {
            let what = "a clock is 0, but not in all rows; an axis is there for all or for none";
            return Err((odd, what.to_owned()));
        }
        let rows = order.into_iter().map(|place| rows[place]).collect();
        Ok(Self { head, rows })
    }

    /// A measured grid as a table with one segment; the spreads are not known
    /// and 0.
    #[must_use]
    pub fn from_grid(grid: &Grid, head: Head) -> Self {
        let exact = |mean| Cost { mean, spread: 0.0 };
        let rows = grid.space.points().iter().zip(&grid.costs);
        let row = |(point, [latency, energy]): (&ClockPoint, &[f64; 2])| Row {
            segment: 0,
            point: *point,
            latency_s: exact(*latency),
            energy_j: exact(*energy),
            samples: 1,
            source: Source::Measured,
        };
        Self {
            head,
            rows: rows.map(row).collect(),
        }
    }

    /// All rows, by segment and clocks.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Rows of a segment, by clocks.
    #[must_use]
    pub fn segment(&self, segment: u32) -> &[Row] {
        let start = self.rows.partition_point(|row| row.segment < segment);
        let end = self.rows.partition_point(|row| row.segment <= segment);
        &self.rows[start..end]
    }

    /// A segment's row at a clock point.
    #[must_use]
    pub fn at(&self, segment: u32, point: ClockPoint) -> Option<&Row> {
        let rows = self.segment(segment);
        let place = rows.binary_search_by_key(&point, |row| row.point).ok()?;
        Some(&rows[place])
    }

    /// The segments that have rows, rising.
    #[must_use]
    pub fn segments(&self) -> Vec<u32> {
        let mut segments: Vec<u32> = self.rows.iter().map(|row| row.segment).collect();
        segments.dedup();
        segments
    }
}

impl Row {
    fn check(&self) -> Result<(), String> {
        for (name, cost) in [("latency", self.latency_s), ("energy", self.energy_j)] {
            if !(cost.mean.is_finite() && cost.mean > 0.0) {
                return Err(format!("{name} is {}; it must be above 0", cost.mean));
            }
            if !(cost.spread.is_finite() && cost.spread >= 0.0) {
                return Err(format!(
                    "the spread of {name} is {}; it must not be below 0",
                    cost.spread
                ));
            }
        }
        match self.samples {
            0 => Err("samples is 0; a row has at least one".to_owned()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
