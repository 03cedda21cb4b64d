//! Temperature of a simulated board, and what throttling leaves of its clocks.
//!
//! One mass behind one resistance. While it is too hot, the highest allowed levels
//! of CPU and GPU fall by one every [`Heat::step_s`]; once it is cool enough they
//! rise again. Guarantees: stable for stretches of any length (implicit Euler).

use super::description::Heat;

/// State of a board's temperature.
#[derive(Clone, Debug)]
pub(super) struct Thermal {
    heat: Heat,
    pub degrees: f64,
    next_ns: u64,
    step_ns: u64,
    /// Levels that are taken off CPU and GPU.
    pub taken: usize,
}

impl Thermal {
    pub fn new(heat: Heat, step_ns: u64) -> Self {
        Self {
            heat,
            degrees: heat.ambient,
            next_ns: step_ns,
            step_ns: step_ns.max(1),
            taken: 0,
        }
    }

    /// Leakage over that which is known.
    pub fn leak(&self) -> f64 {
        (1.0 + self.heat.leak_per_degree * (self.degrees - self.heat.leak_known_at)).max(0.1)
    }

    /// When throttling looks next.
    pub fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// A stretch of `seconds` at `watts`.
    pub fn pass(&mut self, seconds: f64, watts: f64) {
        let steady = self.heat.ambient + self.heat.degrees_per_w * watts;
        let x = seconds / self.heat.time_constant_s;
        self.degrees += (steady - self.degrees) * x / (1.0 + x);
    }

    /// Looks, if it is time; true where the allowed levels change.
    pub fn look(&mut self, now_ns: u64, most: usize) -> bool {
        if now_ns < self.next_ns {
            return false;
        }
        self.next_ns = now_ns + self.step_ns;
        let before = self.taken;
        if self.degrees >= self.heat.throttle_at {
            self.taken = (self.taken + 1).min(most);
        } else if self.degrees < self.heat.release_at {
            self.taken = self.taken.saturating_sub(1);
        }
        self.taken != before
    }
}
