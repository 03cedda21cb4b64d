//! Time on `CLOCK_MONOTONIC`, in nanoseconds: the clock the kernel stamps
//! camera frames with. A read costs about 25 ns (vDSO).

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary point that only moves forward.
#[must_use]
pub fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000
            + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}
