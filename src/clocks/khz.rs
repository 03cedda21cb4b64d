//! A clock in kHz, the unit of cpufreq; devfreq and debugfs count in Hz.
//!
//! A [`Khz`] names a clock; it is never turned back into the text that a kernel
//! file is given. That text comes from the table's own number ([`Opp::raw`]), so
//! that no value changes on its way through another unit.
//!
//! [`Opp::raw`]: super::Opp::raw

use std::fmt;

/// A clock in kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Khz(pub u32);

impl Khz {
    /// `hz` to the nearest kHz; what is beyond 4.29 THz becomes that.
    #[must_use]
    pub fn from_hz(hz: u64) -> Self {
        Self(u32::try_from(hz.saturating_add(500) / 1000).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Khz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kHz", self.0)
    }
}

/// The unit in which a kernel file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// cpufreq.
    Khz,
    /// devfreq, clock debugfs.
    Hz,
}

impl Unit {
    /// The clock that `raw` names in this unit.
    #[must_use]
    pub fn khz(self, raw: u64) -> Khz {
        match self {
            Self::Khz => Khz(u32::try_from(raw).unwrap_or(u32::MAX)),
            Self::Hz => Khz::from_hz(raw),
        }
    }

    /// Whether two numbers name one clock: kernels keep limits in kHz, and a
    /// limit in Hz reads back rounded to that.
    #[must_use]
    pub fn same(self, a: u64, b: u64) -> bool {
        match self {
            Self::Khz => a == b,
            Self::Hz => a.abs_diff(b) < 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hertz_are_rounded_to_the_nearest_kilohertz() {
        assert_eq!(Khz::from_hz(1_300_500_000), Khz(1_300_500));
        assert_eq!(Khz::from_hz(114_749_500), Khz(114_750));
        assert_eq!(Khz::from_hz(u64::MAX), Khz(u32::MAX));
        assert_eq!(Unit::Khz.khz(729_600), Khz(729_600));
    }

    #[test]
    fn a_limit_in_hertz_is_the_same_when_rounded() {
        assert!(Unit::Hz.same(1_377_600_123, 1_377_600_000));
        assert!(!Unit::Hz.same(1_377_600_000, 1_377_601_000));
        assert!(!Unit::Khz.same(1_377_600, 1_377_601));
    }
}
