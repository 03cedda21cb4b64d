//! The power sensor of a simulated board: the mean over the last whole window.

use super::description::Sensor;
use crate::plan::random::Random;

/// State of a sensor, and the true energy.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    sensor: Sensor,
    window_ns: u64,
    random: Random,
    /// End of the window under way, and its energy so far.
    end_ns: u64,
    open_j: f64,
    /// Mean of the last whole window, W.
    last_w: f64,
    shown: Option<(u64, f64)>,
    /// True energy since the start, J.
    pub total_j: f64,
}

const NS: f64 = 1e-9;

#[expect(clippy::cast_precision_loss, reason = "spans far below 2^53 ns")]
fn seconds(ns: u64) -> f64 {
    ns as f64 * NS
}

impl Meter {
    pub fn new(sensor: Sensor, window_ns: u64, random: Random) -> Self {
        let window_ns = window_ns.max(1);
        Self {
            sensor,
            window_ns,
            random,
            end_ns: window_ns,
            open_j: 0.0,
            last_w: 0.0,
            shown: None,
            total_j: 0.0,
        }
    }

    /// The board drew `watts` from `from_ns` to `to_ns`.
    pub fn pass(&mut self, from_ns: u64, to_ns: u64, watts: f64) {
        self.total_j += seconds(to_ns - from_ns) * watts;
        if to_ns < self.end_ns {
            self.open_j += seconds(to_ns - from_ns) * watts;
            return;
        }
        self.open_j += seconds(self.end_ns - from_ns) * watts;
        self.last_w = self.open_j / seconds(self.window_ns);
        let whole = (to_ns - self.end_ns) / self.window_ns;
        if whole > 0 {
            self.last_w = watts;
        }
        let since_ns = self.end_ns + whole * self.window_ns;
        self.open_j = seconds(to_ns - since_ns) * watts;
        self.end_ns = since_ns + self.window_ns;
        self.shown = None;
    }

    /// What the sensor shows, W: the same until its next window.
    pub fn watts(&mut self) -> f64 {
        if let Some((end, shown)) = self.shown
            && end == self.end_ns
        {
            return shown;
        }
        let noisy = self.last_w * (1.0 + self.sensor.noise * self.random.normal());
        let step_w = self.sensor.step_mw * 1e-3;
        let shown = libm::round(noisy.max(0.0) / step_w) * step_w;
        self.shown = Some((self.end_ns, shown));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_the_mean_of_the_last_whole_window() {
        let sensor = Sensor {
            window_ms: 10.0,
            noise: 0.0,
            step_mw: 1.0,
        };
        let mut meter = Meter::new(sensor, 10, Random::new(1, 1));
        meter.pass(0, 5, 2.0);
        assert!(meter.watts() == 0.0);
        meter.pass(5, 15, 4.0);
        assert!((meter.watts() - 3.0).abs() < 1e-9);
        meter.pass(15, 47, 5.0);
        assert!((meter.watts() - 5.0).abs() < 1e-9);
        assert!((meter.total_j - 1e-9 * (10.0 + 40.0 + 160.0)).abs() < 1e-18);
    }
}
