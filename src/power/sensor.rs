//! The seam: what every power sensor is to the rest of e4.

use super::boundary::Boundary;
use super::error::RailFault;
use std::fmt;

/// What a sensor's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Power in microwatts, averaged over the window before the reading.
    Power,
    /// Energy in microjoules since the sensor was opened; it only grows.
    Energy,
}

/// Where a window's length is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSource {
    /// From the sensor's own files.
    Stated,
    /// From its driver's default, because the sensor states none.
    Assumed,
}

/// The time that a reading blurs over. Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Time from one refresh of the reading to the next, at most.
    pub refresh_ns: u64,
    /// Time that a reading averages over, at most; 0 for a counter.
    pub average_ns: u64,
    /// Where the two are known from.
    pub source: WindowSource,
}

impl Window {
    /// Length below which a stretch has no figure of its own.
    #[must_use]
    pub fn span_ns(&self) -> u64 {
        self.refresh_ns.max(self.average_ns)
    }

    /// Whether the sensor's own files state it.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.source == WindowSource::Stated
    }

    /// Half of the time within which a reading's effective moment lies: it averages
    /// over up to `average_ns` and was refreshed up to `refresh_ns` before it was
    /// read. The moment is taken to be this much before the read, give or take as
    /// much.
    #[must_use]
    pub fn half_age_ns(&self) -> u64 {
        self.refresh_ns / 2 + self.average_ns / 4
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.span_ns() as f64 / 1e6;
        match self.source {
            WindowSource::Stated => write!(f, "{ms} ms"),
            WindowSource::Assumed => write!(f, "{ms} ms (its driver's default)"),
        }
    }
}

/// A sensor, opened for the rails of its boundary.
///
/// Object-safe; one thread at a time reads it. All files are open before the first
/// reading, so that [`read`](Self::read) allocates nothing.
pub trait PowerSensor: fmt::Debug + Send {
    /// Kind and place, for people: `ina3221 at sys/class/hwmon/hwmon3`.
    fn name(&self) -> &str;

    /// Labels of the rails that are read and added up: at least one.
    fn rails(&self) -> &[String];

    /// Files that the rail's reading is made of, in the order of
    /// [`RailFault::part`].
    fn files(&self, rail: usize) -> &[String];

    /// What the sum of the rails is, in words and names.
    fn boundary(&self) -> &Boundary;

    /// What the numbers are.
    fn quantity(&self) -> Quantity;

    /// The time that a reading blurs over.
    fn window(&self) -> Window;

    /// Calibration error as a share of the reading; 0 where the sensor states none.
    fn accuracy(&self) -> f64;

    /// Reads every rail into `values`, one number each in the order of
    /// [`rails`](Self::rails), in the unit of [`quantity`](Self::quantity). Numbers
    /// beyond `rails` are left alone. Allocates nothing.
    ///
    /// # Errors
    /// The first rail without a reading; the values are then not to be used.
    fn read(&mut self, values: &mut [i64]) -> Result<(), RailFault>;

    /// The step by which the sum of the latest reading's rails can change, in the
    /// same unit: each number is right to half of its own.
    fn quantum(&self) -> f64;
}
