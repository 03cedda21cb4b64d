//! From readings to marks: the sums of energy and of what it may be off by.
//!
//! Guarantees: plain arithmetic, no clock, no files; a reading that is missing, or
//! comes after a time that is too long to draw a straight line over, makes its time
//! missed and adds no energy. The formulas: [`super::figure`].

use super::error::Fault;
use super::figure::Mark;
use super::sensor::{Quantity, Window};

/// Readings of a power sensor that lie further apart than this many windows have a
/// gap between them.
const GAP_WINDOWS: u64 = 20;
/// ... and at least this far.
const GAP_LEAST_NS: u64 = 250_000_000;
/// A counter may wrap more than once in a longer time.
const GAP_COUNTER_NS: u64 = 60_000_000_000;
/// How many times its mean the power may be within an interval of a counter.
const PEAK: f64 = 4.0;

/// One reading.
#[derive(Clone, Copy, Debug)]
struct Point {
    at_ns: u64,
    half_read_ns: f64,
    value: f64,
}

/// Turns a sensor's readings into marks.
#[derive(Clone, Debug)]
pub struct Integrator {
    quantity: Quantity,
    half_age_ns: u64,
    gap_ns: u64,
    last: Option<Point>,
    lost: bool,
    mark: Mark,
}

impl Integrator {
    /// For readings of this kind and window.
    #[must_use]
    pub fn new(quantity: Quantity, window: &Window) -> Self {
        Self {
            quantity,
            half_age_ns: match quantity {
                Quantity::Power => window.half_age_ns(),
                Quantity::Energy => window.refresh_ns / 2,
            },
            gap_ns: match quantity {
                Quantity::Power => (window.span_ns().saturating_mul(GAP_WINDOWS)).max(GAP_LEAST_NS),
                Quantity::Energy => GAP_COUNTER_NS,
            },
            last: None,
            lost: false,
            mark: Mark::default(),
        }
    }

    /// Takes a reading that was asked for at `began_ns` and there at `ended_ns`, in
    /// microwatts or microjoules, right to half of `quantum`. The mark it makes is
    /// none where time has not moved on since the last.
    pub fn reading(
        &mut self,
        began_ns: u64,
        ended_ns: u64,
        micro: f64,
        quantum: f64,
    ) -> Option<Mark> {
        let read_ns = ended_ns.saturating_sub(began_ns);
        let point = Point {
            at_ns: (began_ns + read_ns / 2).saturating_sub(self.half_age_ns),
            half_read_ns: read_ns as f64 / 2.0,
            value: micro / 1e6,
        };
        let before = match self.last {
            Some(last) if point.at_ns <= last.at_ns => return None,
            before => before,
        };
        self.last = Some(point);
        let lost = std::mem::take(&mut self.lost);
        self.mark.at_ns = point.at_ns;
        if let Some(before) = before {
            let length_ns = point.at_ns - before.at_ns;
            if lost || length_ns > self.gap_ns {
                self.gap(length_ns);
            } else {
                self.interval(&before, &point, length_ns as f64, quantum / 1e6);
            }
        }
        Some(self.mark)
    }

    /// Takes a reading that failed.
    pub fn fault(&mut self, fault: Fault) {
        // Whatever else happens to a counter, it counts on.
        self.lost |= self.quantity == Quantity::Power || fault == Fault::WentBack;
    }

    fn gap(&mut self, length_ns: u64) {
        self.mark.missed_s += length_ns as f64 / 1e9;
        (self.mark.spread_w, self.mark.blur_j) = (0.0, 0.0);
    }

    fn interval(&mut self, before: &Point, now: &Point, length_ns: f64, quantum: f64) {
        let length_s = length_ns / 1e9;
        let late_s = (self.half_age_ns as f64 + before.half_read_ns + now.half_read_ns) / 1e9;
        let step = (now.value - before.value).abs();
        let mark = &mut self.mark;
        match self.quantity {
            Quantity::Power => {
                let misplaced_j = step * (length_s / 2.0 + late_s);
                mark.energy_j += (before.value + now.value) / 2.0 * length_s;
                mark.steps_j += misplaced_j;
                mark.squares_j2 += misplaced_j * misplaced_j;
                mark.resolution_j += quantum / 2.0 * length_s;
                (mark.spread_w, mark.blur_j) = (step, 0.0);
            }
            Quantity::Energy => {
                let mean_w = step / length_s;
                mark.energy_j += now.value - before.value;
                (mark.spread_w, mark.blur_j) = (PEAK * mean_w, mean_w * late_s + quantum);
            }
        }
    }
}
