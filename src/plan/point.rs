//! A clock point: one frequency for each clock domain that the board has.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A clock domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Processor cores.
    Cpu,
    /// Graphics processor.
    Gpu,
    /// External memory controller.
    Emc,
}

impl Axis {
    /// All of them, in the order of [`ClockPoint::khz`].
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Gpu, Self::Emc];

    /// The column of this axis in tables.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_khz",
            Self::Gpu => "gpu_khz",
            Self::Emc => "emc_khz",
        }
    }

    /// Place in [`ClockPoint::khz`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Clocks in kHz; 0 where the board has no such axis.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct ClockPoint {
    /// Processor clock.
    pub cpu_khz: u32,
    /// Graphics clock.
    pub gpu_khz: u32,
    /// Memory clock.
    pub emc_khz: u32,
}

impl ClockPoint {
    /// From CPU, GPU and EMC clocks in kHz.
    #[must_use]
    pub fn new(khz: [u32; 3]) -> Self {
        let [cpu_khz, gpu_khz, emc_khz] = khz;
        Self {
            cpu_khz,
            gpu_khz,
            emc_khz,
        }
    }

    /// Every combination of the clocks of the axes, CPU, GPU and EMC; an empty list is
    /// an axis that is not there.
    #[must_use]
    pub fn grid(axes: &[Vec<u32>; 3]) -> Vec<Self> {
        let [cpu, gpu, emc] = axes.each_ref().map(|khz| match khz.is_empty() {
            true => &[0][..],
            false => khz,
        });
        let mut points = Vec::with_capacity(cpu.len() * gpu.len() * emc.len());
        for &cpu in cpu {
            for &gpu in gpu {
                points.extend(emc.iter().map(|&emc| Self::new([cpu, gpu, emc])));
            }
        }
        points
    }

    /// CPU, GPU and EMC clocks in kHz.
    #[must_use]
    pub fn khz(self) -> [u32; 3] {
        [self.cpu_khz, self.gpu_khz, self.emc_khz]
    }

    /// True where no clock is above `limit`'s; a limit of 0 limits nothing.
    #[must_use]
    pub fn is_within(self, limit: Self) -> bool {
        let pairs = self.khz().into_iter().zip(limit.khz());
        pairs
            .into_iter()
            .all(|(khz, limit)| limit == 0 || khz <= limit)
    }
}

impl fmt::Display for ClockPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (name, khz) in ["cpu", "gpu", "emc"].into_iter().zip(self.khz()) {
            if khz > 0 {
                write!(f, "{gap}{name} {:.1} MHz", f64::from(khz) / 1e3)?;
                gap = ", ";
            }
        }
        if gap.is_empty() {
            f.write_str("no clocks")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_limits_nothing() {
        let point = ClockPoint::new([10, 20, 0]);
        assert!(point.is_within(ClockPoint::new([0, 0, 0])));
        assert!(point.is_within(ClockPoint::new([10, 0, 5])));
        assert!(!point.is_within(ClockPoint::new([0, 19, 0])));
    }

    #[test]
    fn absent_axes_are_not_shown() {
        let shown = |khz| ClockPoint::new(khz).to_string();
        assert_eq!(
            shown([1_500_500, 0, 204_000]),
            "cpu 1500.5 MHz, emc 204.0 MHz"
        );
        assert_eq!(shown([0, 0, 0]), "no clocks");
    }
}
