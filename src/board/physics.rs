//! The parametric model behind simulated boards: time and energy of a stretch of
//! work over the clocks.
//!
//! Guarantees: time and energy are finite and above 0 for works above 0 and clocks
//! above 0; a faster clock never makes a stretch longer; the same on every machine
//! (`libm`). Not guaranteed: cache effects, contention, steps in real tables.
//! Measured error against grids: SPECIFICATION.md, "Simulated boards". Cost: about
//! a microsecond a point (some powers and exponentials), no allocation.
//!
//! With `u` the clocks over their highest:
//!
//! - GPU and memory work overlap: `G = ((g / u_gpu)^p + (m / u_emc^b)^p)^(1/p)`, a
//!   soft roofline (Williams, Waterman, Patterson 2009) with one exponent;
//! - the CPU that feeds them overlaps, too: `C = c / u_cpu + s / u_emc`,
//!   `T = fixed + serial / u_cpu + (C^q + G^q)^(1/q)`;
//! - a domain draws `leak V + u V^2 (idle + dynamic busy / T)` (C V^2 f of CMOS),
//!   its voltage V = 1 at the highest clock, falling linearly to a floor at a knee.

use serde::Deserialize;

/// How the parts of a stretch overlap on a board: 1 is one after the other, infinity
/// is the longer of the two.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// p: GPU and memory.
    pub gpu_memory_overlap: f64,
    /// q: CPU and the two.
    pub cpu_gpu_overlap: f64,
    /// b: how memory's speed follows its clock.
    pub memory_exponent: f64,
}

/// A stretch of work: seconds that each part takes alone at the highest clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Follows no clock.
    pub fixed_s: f64,
    /// CPU, nothing else meanwhile.
    pub serial_s: f64,
    /// CPU, beside the GPU.
    pub cpu_s: f64,
    /// CPU waiting for memory, beside the GPU.
    pub cpu_memory_s: f64,
    /// GPU.
    pub gpu_s: f64,
    /// Memory traffic of the GPU.
    pub memory_s: f64,
}

/// How long a stretch takes, and how long each domain works in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Busy {
    /// From start to end, s.
    pub latency_s: f64,
    /// CPU, GPU and memory, s; never above the latency.
    pub busy_s: [f64; 3],
}

/// Beyond this exponent the soft maximum is the maximum.
const SHARPEST: f64 = 64.0;

/// Soft maximum: the sum for exponent 1, the maximum for a large one.
fn soft_max(a: f64, b: f64, exponent: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if high <= 0.0 || exponent >= SHARPEST {
        return high;
    }
    high * libm::pow(1.0 + libm::pow(low / high, exponent), 1.0 / exponent)
}

impl Timing {
    /// Time of `work` at relative clocks `u` (CPU, GPU, memory; each above 0).
    #[must_use]
    pub fn busy(&self, work: &Work, u: [f64; 3]) -> Busy {
        let memory_s = work.memory_s / libm::pow(u[2], self.memory_exponent);
        let gpu_s = work.gpu_s / u[1];
        let device_s = soft_max(gpu_s, memory_s, self.gpu_memory_overlap);
        let cpu_s = work.cpu_s / u[0] + work.cpu_memory_s / u[2];
        let serial_s = work.serial_s / u[0];
        let latency_s = work.fixed_s + serial_s + soft_max(cpu_s, device_s, self.cpu_gpu_overlap);
        let busy_s = [serial_s + cpu_s, gpu_s, memory_s].map(|s| s.min(latency_s));
        Busy { latency_s, busy_s }
    }
}

/// Power of one domain at its highest clock, and its voltage curve.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainPower {
    /// Of full work, beyond idle, W.
    pub dynamic_w: f64,
    /// Clock trees and the like without work, W.
    pub idle_w: f64,
    /// Leakage, W.
    pub leak_w: f64,
    /// Lowest voltage over that of the highest clock.
    pub voltage_floor: f64,
    /// Clock over the highest below which the voltage stays at the floor.
    pub voltage_knee: f64,
}

/// Half width of the bend at the knee.
const BEND: f64 = 0.03;

fn hinge(x: f64) -> f64 {
    BEND * libm::log1p(libm::exp(x / BEND))
}

impl DomainPower {
    /// Voltage at relative clock `u`, over that at 1.
    #[must_use]
    pub fn voltage(&self, u: f64) -> f64 {
        let rise = hinge(u - self.voltage_knee) / hinge(1.0 - self.voltage_knee);
        self.voltage_floor + (1.0 - self.voltage_floor) * rise
    }

    /// Without work, W; `leak` is leakage over that which is known.
    #[must_use]
    pub fn idle_w(&self, u: f64, leak: f64) -> f64 {
        let v = self.voltage(u);
        self.leak_w * leak * v + self.idle_w * u * v * v
    }

    /// What work adds, W a unit of activity.
    #[must_use]
    pub fn work_w(&self, u: f64) -> f64 {
        let v = self.voltage(u);
        self.dynamic_w * u * v * v
    }
}

/// Power of a board within its energy boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// Always on, W.
    pub always_w: f64,
    /// CPU, GPU and memory.
    pub domains: [DomainPower; 3],
}

impl PowerLaw {
    /// Power of a board without work, W.
    #[must_use]
    pub fn idle_w(&self, u: [f64; 3], leak: f64) -> f64 {
        let domains = self.domains.iter().zip(u);
        self.always_w + domains.map(|(d, u)| d.idle_w(u, leak)).sum::<f64>()
    }

    /// Energy of a stretch, J; `activity` scales each domain's work.
    #[must_use]
    pub fn energy_j(&self, u: [f64; 3], busy: &Busy, activity: [f64; 3], leak: f64) -> f64 {
        let work: f64 = (0..3)
            .map(|d| self.domains[d].work_w(u[d]) * activity[d] * busy.busy_s[d])
            .sum();
        self.idle_w(u, leak) * busy.latency_s + work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        gpu_memory_overlap: 2.0,
        cpu_gpu_overlap: 4.0,
        memory_exponent: 1.0,
    };
    const WORK: Work = Work {
        fixed_s: 0.1,
        serial_s: 0.1,
        cpu_s: 0.5,
        cpu_memory_s: 0.1,
        gpu_s: 1.0,
        memory_s: 0.8,
    };

    #[test]
    fn a_slower_clock_never_hurries() {
        let at = |u| TIMING.busy(&WORK, u).latency_s;
        for axis in 0..3 {
            let mut last = at([1.0; 3]);
            for step in 1..10 {
                let mut u = [1.0; 3];
                u[axis] = 1.0 - 0.1 * f64::from(step);
                assert!(at(u) >= last);
                last = at(u);
            }
        }
    }

    #[test]
    fn one_after_the_other_adds_and_side_by_side_takes_the_longer() {
        assert!((soft_max(1.0, 2.0, 1.0) - 3.0).abs() < 1e-12);
        assert!((soft_max(1.0, 2.0, 1e9) - 2.0).abs() < 1e-12);
        assert!(soft_max(0.0, 0.0, 2.0) == 0.0);
    }

    #[test]
    fn the_voltage_is_one_at_the_top_and_the_floor_below_the_knee() {
        let domain = DomainPower {
            dynamic_w: 1.0,
            idle_w: 0.1,
            leak_w: 0.1,
            voltage_floor: 0.6,
            voltage_knee: 0.5,
        };
        assert!((domain.voltage(1.0) - 1.0).abs() < 1e-12);
        assert!((domain.voltage(0.1) - 0.6).abs() < 1e-4);
    }
}
