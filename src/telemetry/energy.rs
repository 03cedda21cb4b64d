//! Energy of a run as the summary tells it: plain data.

use serde::{Deserialize, Serialize};

/// Energy of a run, from its first frame's capture to its last frame's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnergySummary {
    /// Energy of the time that was measured, in joules.
    pub joules: f64,
    /// The true value lies within `joules` +- this.
    pub error_joules: f64,
    /// Time that was measured, in seconds.
    pub seconds: f64,
    /// Time of the run that was not: before and after the sensor's readings, and
    /// where they failed. Its energy is in no figure.
    pub missed_seconds: f64,
    /// Mean power of the time that was measured.
    pub watts: f64,
    /// Mean power times the run's time, by results: idle included.
    pub per_frame_joules: Option<f64>,
    /// By how much that can be off.
    pub per_frame_error_joules: Option<f64>,
    /// What is measured, in words.
    pub boundary: String,
    /// Labels of the rails that are added up.
    pub rails: Vec<String>,
    /// Kind and place of the sensor.
    pub sensor: String,
    /// Time that a reading blurs over: no shorter stretch has a figure.
    pub window_ms: f64,
    /// Whether the sensor states its window; if not, it is its driver's default.
    pub window_stated: bool,
    /// Readings that gave energy.
    pub readings: u64,
    /// Readings that failed.
    pub failed_readings: u64,
}

/// What a run knows of its energy when it has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnergyEnd {
    /// The energy, where it was measured.
    pub summary: Option<EnergySummary>,
    /// Sentences about what was not.
    pub notices: Vec<String>,
}
